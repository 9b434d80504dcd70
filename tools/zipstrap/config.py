"""Settings from files and the environment: the command line goes over ``ZIPSTRAP_*``, and that over files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import FileError, Problem, UsageError

__all__ = ["CHOICES", "KEYS", "default_cache_folder", "load_config"]

#: key → the type of its value; lists are separated by commas in the environment
KEYS: Mapping[str, type] = {
    "profile": str,
    "layout": str,
    "include": list,
    "exclude": list,
    "trace": list,
    "optimize": int,
    "source": str,
    "compress": str,
    "preset": str,
    "hot": str,
    "hot_of": list,
    "debug_ranges": str,
    "guard": str,
    "zips": str,
    "site": str,
    "extensions": str,
    "jobs": int,
}

#: what each of these settings may be, on the command line too
CHOICES: Mapping[str, tuple[str | int, ...]] = {
    "layout": ("standard", "fast", "isolated", "directory"),
    "optimize": (0, 1, 2),
    "source": ("archive", "disk", "none"),
    "compress": ("stored", "deflate", "libdeflate", "best", "zstd", "dictionary"),
    "preset": ("fast", "small"),
    "hot": ("none", "usual"),
    "debug_ranges": ("yes", "no"),
    "guard": ("off", "report", "stop", "digest"),
    "zips": ("sitecustomize", "pth", "start", "off"),
    "site": ("off", "on"),
    "extensions": ("disk", "archive"),
}


def load_config(folder: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that hold in *folder*: ``zipstrap.toml``, or ``[tool.zipstrap]`` in pyproject.toml.

    Every unknown key and every value of a wrong type is reported, in one :class:`UsageError`.
    """
    problems: list[Problem] = []
    settings: dict[str, Any] = {}
    places: tuple[tuple[Path, tuple[str, ...]], ...] = (
        (folder / "zipstrap.toml", ()),
        (folder / "pyproject.toml", ("tool", "zipstrap")),
    )
    for path, table in places:
        found = _table(path, table)
        if found is not None:
            settings = _checked(found, path, problems)
            break
    for key in KEYS:
        name = f"ZIPSTRAP_{key.upper()}"
        if environ.get(name):
            settings[key] = _from_text(key, environ[name], name, problems)
            _check_value(key, settings[key], name, None, problems)
    if problems:
        raise UsageError(
            problems[0].text,
            file=problems[0].file,
            others=problems[1:],
            cure=f"known settings: {', '.join(KEYS)}",
        )
    return settings


def _check_value(key: str, value: Any, name: str, file: Path | None, problems: list[Problem]) -> None:
    if key in CHOICES and isinstance(value, KEYS[key]) and value not in CHOICES[key]:
        allowed = ", ".join(map(str, CHOICES[key]))
        problems.append(Problem(f"{name} is {value!r}, not one of {allowed}", file))
    if key == "jobs" and isinstance(value, int) and value < 1:
        problems.append(Problem(f"{name} is {value}, not a whole number above 0", file))


def _table(path: Path, keys: tuple[str, ...]) -> dict[str, Any] | None:
    import tomllib

    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", file=path, cure="make it readable") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"is not TOML ({error})", file=path, cure="mend the file") from error
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    if not isinstance(found, dict):
        raise UsageError(f"{'.'.join(keys)} is no table", file=path, cure="write settings as [tool.zipstrap]")
    return found


def _checked(found: Mapping[str, Any], path: Path, problems: list[Problem]) -> dict[str, Any]:
    for key, value in found.items():
        kind = KEYS.get(key)
        if kind is None:
            problems.append(Problem(f"there is no setting {key!r}", path))
        elif type(value) is not kind or (
            isinstance(value, list) and not all(isinstance(item, str) for item in value)
        ):
            names = {str: "a text", int: "a whole number", list: "a list of texts"}
            problems.append(Problem(f"{key} is {value!r}, not {names[kind]}", path))
        else:
            _check_value(key, value, key, path, problems)
    return dict(found)


def _from_text(key: str, text: str, name: str, problems: list[Problem]) -> Any:
    if KEYS[key] is list:
        return [item.strip() for item in text.split(",") if item.strip()]
    if KEYS[key] is int:
        try:
            return int(text)
        except ValueError:
            problems.append(Problem(f"{name} is {text!r}, not a whole number"))
    return text


def default_cache_folder(environ: Mapping[str, str]) -> Path:
    """Return ``ZIPSTRAP_CACHE_DIR``, or ``zipstrap`` under ``XDG_CACHE_HOME`` or ``~/.cache``.

    A relative ``XDG_CACHE_HOME`` does not count, as the XDG base directory specification says.
    """
    if own := environ.get("ZIPSTRAP_CACHE_DIR"):
        return Path(own)
    shared = environ.get("XDG_CACHE_HOME", "")
    if shared and Path(shared).is_absolute():
        return Path(shared, "zipstrap")
    home = environ.get("HOME")
    return (Path(home) if home else Path("~").expanduser()) / ".cache" / "zipstrap"
