import os

import pytest

from edgevid.bench.sensors import Sensors


@pytest.fixture
def machine(tmp_path):
    """A folder in place of the kernel's; write ``path=text`` into it."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(text))
        return tmp_path

    return write


CLOCK = f"sys/devices/system/cpu/cpu{min(os.sched_getaffinity(0))}/cpufreq/scaling_cur_freq"
RAPL = "sys/class/powercap"


def test_a_machine_without_counters_says_so(tmp_path):
    sensors = Sensors(tmp_path)
    assert sensors.read() == {"megahertz": None, "celsius": None, "joules": None}
    assert sensors.missing() == (
        "clocks: no counter on this machine",
        "temperature: no sensor on this machine",
        "energy: no counter on this machine",
    )


def test_clocks_are_the_governors_or_else_those_of_cpuinfo(machine):
    root = machine({"proc/cpuinfo": "processor: 0\ncpu MHz\t\t: 1000.5\ncpu MHz : 2000.5\n"})
    assert Sensors(root).megahertz() == 1500.5
    machine({CLOCK: 2_600_000})
    assert Sensors(root).megahertz() == 2600


def test_the_hottest_plausible_sensor_counts(machine):
    root = machine(
        {
            "sys/class/thermal/thermal_zone0/temp": 45_000,
            "sys/class/hwmon/hwmon1/temp1_input": 61_500,
            "sys/class/hwmon/hwmon1/temp2_input": -273_000,
            "sys/class/hwmon/hwmon2/temp1_input": 65_261_850,
            "sys/class/hwmon/hwmon3/temp1_input": "not a number",
        }
    )
    assert Sensors(root).celsius() == 61.5


def test_energy_is_summed_over_packages_but_not_over_their_parts_nor_the_platform_too(machine):
    zones = {"0": "package-0\n", "1": "package-1\n", "2": "psys\n", "0:0": "core\n"}
    root = machine({f"{RAPL}/intel-rapl:{zone}/name": name for zone, name in zones.items()})
    machine({f"{RAPL}/intel-rapl:{zone}/energy_uj": 1_000_000 for zone in zones})
    sensors = Sensors(root)
    machine({f"{RAPL}/intel-rapl:{zone}/energy_uj": 3_500_000 for zone in zones})
    assert sensors.joules() == 5.0
    assert sensors.joules() == 0.0
    assert "energy" not in " ".join(sensors.missing())


def test_a_counter_that_begins_anew_loses_nothing(machine):
    place = f"{RAPL}/intel-rapl:0"
    root = machine(
        {
            f"{place}/name": "package-0",
            f"{place}/energy_uj": 9_000_000,
            f"{place}/max_energy_range_uj": 10_000_000,
        }
    )
    sensors = Sensors(root)
    machine({f"{place}/energy_uj": 1_000_000})
    assert sensors.joules() == 2.0


def test_a_counter_that_may_not_be_read_is_told_apart_from_none(machine):
    root = machine({f"{RAPL}/intel-rapl:0/name": "package-0"})
    sensors = Sensors(root)
    assert sensors.joules() is None
    assert any("run it as root" in line for line in sensors.missing())
