"""Model cards are written from the weights and from what was measured."""

import json

from kinediff3d_core.evaluation import cards
from kinediff3d_core.networks.checkpoints import NETWORKS, save_network
from kinediff3d_core.objects.category import get_category


def test_a_card_has_the_notes_of_the_weights_and_the_results(tmp_path, capsys):
    for stage, (network, _) in NETWORKS.items():
        save_network(network(get_category('cutter')), stage, 'cutter',
                     tmp_path / 'weights' / 'cutter' / f'{stage}.safetensors',
                     {'steps': 1234, 'seconds': 56, 'device': 'cpu', 'seed': 7, 'batch': 24,
                      'before': {'steps': 99, 'batch': 3, 'category': 'drawer'}})
    stats = {'mean': 0.0125, 'median': 0.01, 'std': 0.0, 'n': 8}
    summary = {'joint_state_err': stats, 'cd_w': {**stats, 'mean': 9.5}, 'cd_l1_w': stats,
               'failure_rate': {**stats, 'mean': 0.25}}
    results = tmp_path / 'results'
    results.mkdir()
    (results / 'procedural.json').write_text(json.dumps({'cutter': summary, 'box': {}}))
    arguments = ['--from', str(results), '--weights', str(tmp_path / 'weights')]
    assert cards.main(arguments) == 0
    text = (tmp_path / 'weights' / 'cutter' / 'MODEL_CARD.md').read_text()
    assert ('| `pose` (score model) | 1234 steps of 24 views, 56 s on one cpu, seed 7, '
            'after 99 steps of 3 for drawer |') in text
    assert '| `parts` (head of the baseline ancsh, on the encoder of `pose`) | 1234 steps' in text
    assert 'kinediff3d train {shape,pose,latent,parts} --category cutter' in text
    assert '| joint state, mm | 12.5 / 10 |' in text
    assert '| CD-w | 9.5 / 0.01 |' in text
    assert '| failures (none, or rotation > 20°) | 25.0 % |' in text
    assert 'blade_joint: 0 to 8 cm' in text
    assert not (tmp_path / 'weights' / 'box').exists()

    del summary['cd_l1_w']  # As older versions, whose distances had another unit.
    (results / 'procedural.json').write_text(json.dumps({'cutter': summary}))
    assert cards.main(arguments) == 0
    text = (tmp_path / 'weights' / 'cutter' / 'MODEL_CARD.md').read_text()
    assert '| CD-w |' not in text and '| joint state, mm | 12.5 / 10 |' in text

    (tmp_path / 'weights' / 'cutter' / 'parts.safetensors').unlink()
    assert cards.main(arguments) == 0
    text = (tmp_path / 'weights' / 'cutter' / 'MODEL_CARD.md').read_text()
    assert '`parts`' not in text and 'train {shape,pose,latent} --category cutter' in text

    (results / 'procedural.json').write_text('nothing')
    assert cards.main(arguments) == 2
    assert capsys.readouterr().err.count('\n') == 1
