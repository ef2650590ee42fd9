"""Records of a run that was interrupted, found again by the same run only."""

import pytest

from kinediff3d_core.distributed.journal import Journal, remove_journal

RUN = {'seed': 0, 'preset': 'fast'}


def test_entries_are_found_again_by_any_number_of_ranks(tmp_path):
    folder = tmp_path / 'r.unfinished'
    for rank in (0, 1):
        with Journal(folder, 'box', RUN, rank) as journal:
            journal.append(rank, {'x': 0.1 + rank, 'y': None})
    with Journal(folder, 'cutter', RUN) as journal:  # another part of the same run
        assert not journal.entries
    with Journal(folder, 'box', RUN) as journal:
        assert journal.entries == {0: {'x': 0.1, 'y': None}, 1: {'x': 1.1, 'y': None}}
    remove_journal(folder)
    remove_journal(folder)
    assert not folder.exists()


@pytest.mark.parametrize('torn', ['{"index": 1, "ent', '{"run": {"seed": 0'])
def test_a_line_that_was_not_finished_does_not_count(tmp_path, torn):
    own = tmp_path / 'box.0.jsonl'
    if torn.startswith('{"index'):
        with Journal(tmp_path, 'box', RUN) as journal:
            journal.append(0, {'x': 1})
    with own.open('a') as file:
        file.write(torn)
    with Journal(tmp_path, 'box', RUN) as journal:
        before = dict(journal.entries)
        journal.append(1, {'x': 2})
    with Journal(tmp_path, 'box', RUN) as journal:
        assert journal.entries == {**before, 1: {'x': 2}}
    assert torn not in own.read_text().splitlines()


def test_a_run_with_other_options_is_refused(tmp_path):
    with Journal(tmp_path, 'box', RUN) as journal:
        journal.append(0, {'x': 1})
    with pytest.raises(ValueError, match=r'other options \(seed: 0 there, 7 now\)'):
        Journal(tmp_path, 'box', {**RUN, 'seed': 7})
    (tmp_path / 'box.1.jsonl').write_text('no record\n')
    with pytest.raises(ValueError, match='not a file of records'):
        Journal(tmp_path, 'box', RUN)
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='not a folder'):
        Journal(tmp_path / 'file', 'box', RUN)
