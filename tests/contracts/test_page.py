"""The page of the contracts: everything is on it, and all it points at is there."""

import re
from html.parser import HTMLParser

from goal_contracts import documents, messages
from goal_contracts.documents import served

ALL = list(messages.messages())


class Page(HTMLParser):
    """What a browser would see: the anchors, the links, the tags that stay open."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.open: list[str] = []
        served = documents.served("")
        assert served is not None
        self.text = served.content.decode()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        self.anchors += [anchor for anchor in [given.get("id")] if anchor]
        self.links |= {link for link in [given.get("href"), given.get("src")] if link}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


PAGE = Page()


def test_every_message_is_on_the_page_with_its_meaning_and_its_example() -> None:
    for message in ALL:
        section = re.search(
            rf'<section id="{message.family}-{message.name}">(.*?)</section>', PAGE.text, re.DOTALL
        )
        assert section is not None, message.name
        assert "<table>" in section[1] or "It has no fields." in section[1]
        assert "<pre" in section[1]
        assert message.path in section[1]


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    assert PAGE.open == []
    assert PAGE.tags.isdisjoint({"script", "link", "img"})
    assert len(set(PAGE.anchors)) == len(PAGE.anchors)


def test_every_link_leads_somewhere() -> None:
    within = {link.removeprefix("#") for link in PAGE.links if link.startswith("#")}
    assert within - set(PAGE.anchors) == set()
    for link in PAGE.links:
        if not link.startswith("#"):
            assert served(link.removeprefix(documents.PLACE)) is not None, link


def test_the_page_may_be_served_elsewhere() -> None:
    page = served("/", "/here")
    assert page is not None
    assert b'href="/here/asyncapi.json"' in page.content


def test_nothing_but_the_documents_is_served() -> None:
    for path in ("codec.py", "../README.md", "schemas", "schemas/../py.typed", "schemas/no.json"):
        assert served(path) is None
    document = served("schemas/events/CheckedIn.v1.json")
    assert document is not None
    assert document.media_type == "application/schema+json"
