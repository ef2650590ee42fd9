"""Pairing by stamps: which messages are paired, and which are discarded."""

from __future__ import annotations

from kinediff3d_ros.scene.pairing import CalibrationPairing, StampPairing


def test_images_from_before_time_restarted_get_no_mask() -> None:
    """A mask may come before the image of its stamp, and then finds that of the last run."""
    second = 1_000_000_000
    pairing = StampPairing(slop=second // 50)
    assert pairing.add_first(100 * second, 'old') is None
    assert pairing.add_first(50 * second, 'new') is None
    assert pairing.unpaired == 1
    assert pairing.add_second(100 * second, 'mask') is None
    assert pairing.add_first(100 * second, 'seen again') == ('seen again', 'mask')
    # Masks may be ahead of late images.
    assert pairing.add_second(153 * second, 'ahead') is None
    assert pairing.add_first(151 * second, 'late') is None
    assert pairing.add_first(152 * second, 'late') is None
    assert pairing.add_first(153 * second, 'late') == ('late', 'ahead')
    # Half a second is no restart, but an image that is out of order.
    assert pairing.add_first(200 * second, 'late') is None
    assert pairing.add_first(200 * second - second // 2, 'out of order') is None
    assert pairing.add_second(200 * second, 'mask') == ('late', 'mask')


def test_pairs_are_by_nearest_stamp_in_either_order() -> None:
    pairing: StampPairing[str, str] = StampPairing(slop=10)
    assert pairing.add_first(100, 'a') is None
    assert pairing.add_second(104, 'A') == ('a', 'A')
    assert pairing.add_second(200, 'B') is None
    assert pairing.add_first(195, 'b') == ('b', 'B')
    assert pairing.unpaired == 0


def test_a_first_message_gets_the_nearest_of_several() -> None:
    pairing: StampPairing[str, str] = StampPairing(slop=10)
    for stamp, name in ((92, 'early'), (97, 'near'), (108, 'late')):
        assert pairing.add_second(stamp, name) is None
    assert pairing.add_first(100, 'a') == ('a', 'near')
    # Up to the paired one all are discarded; later ones may still be paired.
    assert pairing.add_first(101, 'b') == ('b', 'late')
    assert pairing.add_first(102, 'c') is None


def test_a_stamp_is_paired_once() -> None:
    pairing: StampPairing[str, str] = StampPairing(slop=10)
    pairing.add_first(100, 'a')
    assert pairing.add_second(100, 'A') == ('a', 'A')
    assert pairing.add_second(100, 'A') is None
    assert pairing.add_first(104, 'b') == ('b', 'A')
    assert pairing.unpaired == 0


def test_the_slop_is_inclusive() -> None:
    for gap, paired in ((10, True), (11, False)):
        for sign in (-1, 1):
            pairing: StampPairing[str, str] = StampPairing(slop=10)
            pairing.add_first(100, 'a')
            assert (pairing.add_second(100 + sign * gap, 'A') is not None) == paired


def test_without_slop_equal_stamps_are_paired() -> None:
    pairing: StampPairing[str, str] = StampPairing(slop=0)
    pairing.add_first(100, 'a')
    assert pairing.add_second(101, 'B') is None
    assert pairing.add_second(100, 'A') == ('a', 'A')


def test_a_missing_second_message_does_not_delay_later_pairs() -> None:
    pairing: StampPairing[str, str] = StampPairing(slop=10)
    assert pairing.add_first(100, 'a') is None
    assert pairing.add_first(200, 'b') is None
    assert pairing.add_second(201, 'B') == ('b', 'B')
    assert pairing.unpaired == 1
    assert pairing.add_second(101, 'A') is None


def test_every_older_first_message_of_a_pair_is_counted_as_unpaired() -> None:
    pairing: StampPairing[int, int] = StampPairing(slop=1)
    for stamp in (100, 200, 300, 400, 500):
        pairing.add_first(stamp, stamp)
    assert pairing.add_second(400, 4) == (400, 4) and pairing.unpaired == 3
    # The newer one still waits for its own.
    assert pairing.add_second(500, 5) == (500, 5) and pairing.unpaired == 3


def test_of_two_first_messages_that_fit_the_newer_one_is_paired() -> None:
    pairing: StampPairing[str, str] = StampPairing(slop=10)
    pairing.add_first(100, 'a')
    pairing.add_first(105, 'b')
    assert pairing.add_second(101, 'A') == ('b', 'A') and pairing.unpaired == 1
    assert pairing.add_second(102, 'B') is None, 'the older one is discarded'


def test_waiting_messages_are_bounded() -> None:
    pairing: StampPairing[int, int] = StampPairing(slop=1, depth=4)
    for i in range(100):
        pairing.add_first(10 * i, i)
        pairing.add_second(10 * i + 5, i)
    assert pairing.unpaired == 96
    # The last four of each kind are left.
    assert pairing.add_first(955, -1) is None and pairing.unpaired == 97
    assert pairing.add_first(965, -2) == (-2, 96) and pairing.unpaired == 99


def test_what_is_discarded_counts_as_unpaired() -> None:
    pairing: StampPairing[int, int] = StampPairing(slop=1)
    pairing.add_first(100, 1)
    pairing.add_first(200, 2)
    pairing.add_second(300, 3)
    pairing.discard()
    assert pairing.unpaired == 2
    assert pairing.add_second(200, 2) is None and pairing.add_first(300, 3) is None


def test_the_default_depth_is_thirty_messages() -> None:
    pairing: StampPairing[int, int] = StampPairing(slop=0)
    for i in range(31):
        pairing.add_second(i, i)
    assert pairing.add_first(0, 0) is None and pairing.add_first(1, 1) == (1, 1)
    pairing = StampPairing(slop=0)
    for i in range(30):
        pairing.add_first(i, i)
    assert pairing.unpaired == 0
    pairing.add_first(10, 10)
    assert pairing.unpaired == 1


Calibrations = CalibrationPairing[str, str]


def test_an_image_gets_the_calibration_of_its_own_stamp() -> None:
    """A changed calibration arrives before, between and after the images."""
    pairing: Calibrations = CalibrationPairing()
    assert pairing.add_second(100, 'A') == []
    assert pairing.add_second(200, 'B') == []
    assert pairing.add_first(100, 'a') == [('a', 'A')], 'not the newest one'
    assert pairing.add_first(200, 'b') == [('b', 'B')]
    assert pairing.add_first(300, 'c') == [], 'waits: the driver stamps both alike'
    assert pairing.add_second(300, 'C') == [('c', 'C')]


def test_stamps_may_agree_after_the_image_was_used() -> None:
    """Drivers publish the image first; the calibration of an earlier one is there already."""
    pairing: Calibrations = CalibrationPairing()
    pairing.add_second(50, 'old')
    assert pairing.add_first(100, 'a') == [('a', 'old')], 'nothing says that it should wait'
    assert pairing.add_second(100, 'A') == []
    assert pairing.add_first(200, 'b') == []
    assert pairing.add_second(200, 'B') == [('b', 'B')]


def test_stamps_that_never_agree_give_the_newest_calibration_at_once() -> None:
    pairing: Calibrations = CalibrationPairing()
    for i in range(5):
        pairing.add_second(100 * i, str(i))
        assert pairing.add_first(100 * i + 1, 'image') == [('image', str(i))]
    other: Calibrations = CalibrationPairing()
    other.add_second(10**9, 'of another clock')
    assert other.add_first(100, 'image') == [('image', 'of another clock')]


def test_a_lost_calibration_delays_one_image_and_loses_none() -> None:
    pairing: Calibrations = CalibrationPairing()
    pairing.add_second(100, 'A')
    pairing.add_first(100, 'a')
    assert pairing.add_first(200, 'b') == []
    assert pairing.add_first(300, 'c') == [('b', 'A'), ('c', 'A')], 'the next does not wait'
    assert pairing.add_second(300, 'C') == []
    assert pairing.add_first(400, 'd') == []
    assert pairing.add_second(500, 'E') == [('d', 'C')], 'its own cannot come any more'
    assert pairing.uncalibrated == 0


def test_images_wait_for_the_first_calibration() -> None:
    pairing: Calibrations = CalibrationPairing(early=2)
    for stamp, image in ((100, 'a'), (200, 'b'), (300, 'c')):
        assert pairing.add_first(stamp, image) == []
    assert not pairing.calibrated and pairing.uncalibrated == 1
    assert pairing.add_second(200, 'B') == [('b', 'B'), ('c', 'B')]
    assert pairing.calibrated and pairing.uncalibrated == 1


def test_images_before_the_first_calibration_are_discarded_by_default() -> None:
    pairing: Calibrations = CalibrationPairing()
    assert pairing.add_first(100, 'a') == [] and pairing.uncalibrated == 1
    assert pairing.add_second(100, 'A') == []
    assert pairing.add_first(200, 'b') == [], 'stamps agreed, so it waits'
    assert pairing.uncalibrated == 1
    assert pairing.add_second(200, 'B') == [('b', 'B')]


def test_kept_calibrations_are_bounded() -> None:
    pairing: Calibrations = CalibrationPairing(depth=3)
    for i in range(5):
        pairing.add_second(i, str(i))
    assert pairing.add_first(2, 'kept') == [('kept', '2')]
    assert pairing.add_first(1, 'forgotten') == []
    assert pairing.add_first(4, 'next') == [('forgotten', '4'), ('next', '4')]


def test_the_last_image_of_a_source_that_pauses_is_used() -> None:
    pairing: Calibrations = CalibrationPairing(early=1)
    pairing.add_first(50, 'without any')
    assert pairing.release_late() == [] == pairing.release_late()
    pairing.add_second(100, 'A')
    pairing.add_first(100, 'a')
    assert pairing.add_first(200, 'b') == [] == pairing.release_late()
    assert pairing.release_late() == [('b', 'A')]
    assert pairing.release_late() == []
    assert pairing.add_first(300, 'c') == [('c', 'A')]
