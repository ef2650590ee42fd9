"""Results of the example: records, summary and table."""

import json

import pytest
from opening_summary import Record, summarize, table


def record(number, opened):
    return Record(number, opened, 'arrived', ('attempt 1: arrived',))


def test_eighty_percent_is_opened():
    assert record(0, 0.8).success and not record(0, 0.799).success


def test_a_record_survives_json():
    assert Record.from_dict(json.loads(json.dumps(record(3, 0.5).to_dict()))) == record(3, 0.5)


def test_summary_counts_and_averages():
    summary = summarize({'box': [record(1, 0.2), record(0, 1.0)], 'laptop': [record(0, 0.9)]})
    assert summary['box']['success'] == 0.5 and summary['box']['opened'] == pytest.approx(0.6)
    assert [r['number'] for r in summary['box']['records']] == [0, 1]
    assert '| box | 1 of 2 | 60 % |' in table(summary).splitlines()
    assert '| laptop | 1 of 1 | 90 % |' in table(summary).splitlines()
