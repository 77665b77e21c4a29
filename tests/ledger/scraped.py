"""What Prometheus would read of a ledger's metrics, for tests."""

from prometheus_client.parser import text_string_to_metric_families

from services.ledger.metrics import Metrics


class Scraped:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.families = [*text_string_to_metric_families(text)]
        self._values = {
            (
                sample.name.removeprefix("goal_ledger_"),
                *sorted(sample.labels.values()),
            ): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __getitem__(self, sample: str | tuple[str, str]) -> float:
        """By the name behind `goal_ledger_`, and the value of its label where it has one."""
        return self._values[(sample,) if isinstance(sample, str) else sample]

    def labelled(self, name: str) -> dict[str, float]:
        """All samples of a name that are not 0, by their label."""
        return {
            key[1]: value for key, value in self._values.items() if key[0] == name and value != 0
        }


def scraped(metrics: Metrics) -> Scraped:
    return Scraped(metrics.text().decode())
