"""PortAudio's host APIs: which is the best of several that show the same device, and how each of them names it."""

from collections.abc import Sequence

__all__ = [
    *("DIRECTSOUND", "HIDDEN", "MME", "RANKED", "WASAPI", "WDM_KS"),
    *("fits", "is_stand_in", "keeps_its_device", "rank", "same_device"),
]

MME = "MME"
DIRECTSOUND = "Windows DirectSound"
WASAPI = "Windows WASAPI"
WDM_KS = "Windows WDM-KS"

RANKED = (WASAPI, DIRECTSOUND, MME, WDM_KS)
"""Those of Windows, the best first.

WASAPI is what Windows' sound is made of; DirectSound and MME stand before it, and cost latency: MME some 90 ms each
way. WDM-KS takes a device from all other programs, and shows parts of drivers where people look for devices.
"""

HIDDEN = frozenset({WDM_KS})
"""Those whose devices are listed only when all are asked for."""

_MME_NAME = 31
"""The characters that MME has for a name (MAXPNAMELEN of Windows, without the zero at its end)."""

# Host APIs whose streams stay with the device they were opened on, and which anybody may ask for the default one.
# ALSA, JACK and sound servers lead a stream to the new default by themselves. ASIO loads drivers that belong to one
# process at a time, and WDM-KS has no default; these two, and unknown ones, are left alone.
_KEEPING = frozenset({"Core Audio", MME, DIRECTSOUND, WASAPI})


def rank(host_api: str) -> int:
    """The place of a host API among those that show the same devices; 0 is the best."""
    return RANKED.index(host_api) if host_api in RANKED else 0


def keeps_its_device(host_api: str) -> bool:
    """True when a stream of this host API (PortAudio's name) stays with its device though the default changes."""
    return host_api in _KEEPING


def is_stand_in(name: str, host_api: str, earlier: Sequence[str]) -> bool:
    """True when it is no device, but stands for the default one, which is listed as well.

    MME and DirectSound list it before their devices, and Windows names it in its own language.

    Args:
        name: PortAudio's.
        earlier: the names that the host API has listed before, of devices of the same kind.
    """
    if host_api == MME:  # "Microsoft Sound Mapper - Input"
        return not earlier and "microsoft" in name.casefold()
    return host_api == DIRECTSOUND and not earlier  # "Primary Sound Capture Driver"


def same_device(one: str, other: str) -> bool:
    """True when these are names of one device, of which MME may have cut either."""
    shorter, longer = sorted((one, other), key=len)
    return shorter == longer or (_is_cut(shorter) and longer.startswith(shorter))


def fits(name: str, wanted: str) -> bool:
    """True when this device is meant by its whole name, or by what MME has left of it; case does not matter."""
    return same_device(name.casefold(), wanted.casefold())


def _is_cut(name: str) -> bool:
    """MME counts in units of UTF-16."""
    return len(name.encode("utf-16-le", "replace")) // 2 >= _MME_NAME
