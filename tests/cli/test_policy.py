"""`policy show` and `policy set`: what is pinned is shown, and only what is a setting is set."""

import csv
import io
from dataclasses import dataclass, field

import msgspec
import pytest
from goal_contracts import codec, reference
from goal_contracts.codec import CommandMessage
from goal_contracts.commands import ChangePolicy
from goal_contracts.policy import Policy, ReadingGrace
from goal_contracts.queries import Answer, AsOf, Goals, OrganisationCard, Query
from goal_contracts.replies import Accepted, Reason, Refused, Reply

from services.cli import policy
from services.cli.errors import WrongUsage
from tests.cli import answers
from tests.cli.running import FakeSystem

NOW = Policy(confidence_required=True)
PINNED = Policy(counts="block")


@dataclass
class Company:
    """An organisation whose settings may be read and changed."""

    of: Policy = NOW
    sent: list[ChangePolicy] = field(default_factory=list)

    def answer(self, query: Query) -> Answer:
        assert isinstance(query, AsOf)
        if query.cycle is not None:
            (card,) = (each for each in answers.GOALS.cycles if each.cycle_id == query.cycle)
            pinned = PINNED if query.cycle == "2025-Q3" else None
            return Goals(answers.REFLECTS, cycles=(msgspec.structs.replace(card, policy=pinned),))
        organisation = OrganisationCard("settings", "Acme", "Europe/Berlin", self.of)
        return Goals(answers.REFLECTS, organisation=organisation)

    def reply(self, _actor: str, message: CommandMessage) -> Reply:
        command = codec.decode_command(message)
        assert isinstance(command, ChangePolicy)
        self.sent.append(command)
        return Accepted(message.id, 413, 1)


def running(url: str, company: Company) -> FakeSystem:
    return FakeSystem(url, "settings", answers={"AsOf": company.answer}, reply=company.reply)


def test_every_setting_is_shown_with_its_rule_and_what_is_not_the_default(nats_url: str) -> None:
    with running(nats_url, Company()) as system:
        result = system.goal_ledger("policy", "show")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("settings policy · position @412")
    (line,) = [each for each in lines if " confidence_required " in each]
    assert line.split()[:3] == ["R11", "confidence_required", "true"]
    assert line.endswith("(default false)")
    shown = {each.split()[1] for each in lines[4:]}
    assert shown == set(Policy.__struct_fields__)


def test_a_cycle_shows_what_it_pinned(nats_url: str) -> None:
    with running(nats_url, Company()) as system:
        result = system.goal_ledger("policy", "show", "--cycle", "2025-Q3", "--format", "json")
        planned = system.goal_ledger("policy", "show", "--cycle", "2025")
    assert msgspec.json.decode(result.stdout, type=Policy) == PINNED
    assert planned.exit_code == 1
    assert planned.stderr.startswith("not_found: the cycle 2025 has pinned no settings")


def test_settings_for_programs(nats_url: str) -> None:
    with running(nats_url, Company()) as system:
        result = system.goal_ledger("policy", "show", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["setting"] for row in rows] == list(Policy.__struct_fields__)
    assert all(row["rule"] and row["says"] for row in rows)
    assert not any("None" in row["says"] for row in rows)


def test_what_is_set_changes_and_the_rest_stays(nats_url: str) -> None:
    company = Company()
    with running(nats_url, company) as system:
        result = system.goal_ledger(
            *("policy", "set", "counts=block", "key_results_max=4"),
            *("--reason", "Less is more", "--actor", "ada"),
        )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "counts: warn → block",
        "key_results_max: 5 → 4",
        "Recorded @413. Cycles that are running keep what they pinned.",
    ]
    now = msgspec.structs.replace(NOW, counts="block", key_results_max=4)
    assert company.sent == [ChangePolicy(now, "Less is more")]
    ((actor, message),) = system.sent
    # If somebody changed the settings after they were read, the ledger refuses (R29).
    assert (actor, message.decided_on) == ("ada", answers.REFLECTS.position)


def test_what_is_like_that_already_is_not_sent(nats_url: str) -> None:
    company = Company()
    with running(nats_url, company) as system:
        result = system.goal_ledger("policy", "set", "confidence_required=true")
    assert result.stdout == "The settings are like that already; nothing recorded.\n"
    assert company.sent == []


def test_the_same_change_on_the_same_position_is_one_command(nats_url: str) -> None:
    with running(nats_url, Company()) as system:
        for _ in range(2):
            system.goal_ledger("policy", "set", "counts=off", "--format", "json")
        system.goal_ledger("policy", "set", "counts=block", "--format", "csv")
    first, again, other = (message.id for _, message in system.sent)
    assert first == again != other


def test_a_refusal_says_what_would_be_accepted(nats_url: str) -> None:
    def refuse(_actor: str, message: CommandMessage) -> Reply:
        return Refused(message.id, Reason.POLICY_INVALID, "5 to 4", accepted="key_results_min <= …")

    company = Company()
    system = FakeSystem(nats_url, "settings", answers={"AsOf": company.answer}, reply=refuse)
    with system:
        result = system.goal_ledger("policy", "set", "key_results_min=5", "key_results_max=4")
    assert result.exit_code == 1
    assert result.stderr == "policy_invalid: 5 to 4; accepted: key_results_min <= …\n"


@pytest.mark.parametrize("name", Policy.__struct_fields__)
def test_every_example_of_the_reference_can_be_set(name: str) -> None:
    wanted = getattr(reference.OTHER_SETTINGS, name)
    now = policy.changed(Policy(), [f"{name}={reference.written(wanted)}"])
    assert now == msgspec.structs.replace(Policy(), **{name: wanted})
    default = reference.written(getattr(Policy(), name))
    assert policy.changed(now, [f"{name}={default}"]) == Policy()


def test_a_part_of_the_grace_leaves_the_others() -> None:
    now = policy.changed(Policy(), ["reading_grace=yearly:90, monthly:5"])
    assert now.reading_grace == ReadingGrace(monthly=5, yearly=90)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("counts", "'counts' sets nothing; accepted: KEY=VALUE"),
        ("colour=red", "there is no setting colour; accepted: skip_planning, "),
        ("counts=maybe", "accepted: off, warn, block"),
        ("key_results_max=many", "accepted: 1 to 100"),
        ("key_results_max=0", "accepted: 1 to 100"),
        ("key_results_max=none", "accepted: 1 to 100"),
        ("update_lock_days=-1", "accepted: 0 to 3,660, or none"),
        ("note_required=perhaps", "accepted: true, false"),
        ("bands=0.4", "accepted: two numbers"),
        ("reading_grace=hourly:1", "hourly is none of its parts"),
    ],
)
def test_what_is_no_setting_is_wrong_usage(said: str, why: str) -> None:
    with pytest.raises(WrongUsage) as told:
        policy.changed(Policy(), [said])
    assert why in told.value.message


def test_a_setting_is_set_once() -> None:
    with pytest.raises(WrongUsage, match="counts is set twice"):
        policy.changed(Policy(), ["counts=off", "counts=warn"])


@pytest.mark.parametrize(
    "change", ["key_results_max=٤", "bands=0.٣,0.7", "progress_ceiling=١", "reading_grace=daily:٤"]
)
def test_only_the_digits_0_to_9_are_a_number(change: str) -> None:
    with pytest.raises(WrongUsage, match="accepted: "):
        policy.changed(Policy(), [change])
