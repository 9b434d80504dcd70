"""Guard the boot of a zipstrap tree, add its zips, then run the ``sitecustomize`` that comes next.

Where the tree leaves something of the library out, a last finder says so of an import that fails.

``site`` imports this module from the tree's archive at every start without ``-S``. The quick look is here and
loads nothing; ``zipstrap_guard`` takes a closer one where that does not settle it. Nothing that goes wrong in
them can stop a start.
"""

import os
import sys

ACTION = "report"  # baked at build: off, report or stop
ZIPS = True  # baked at build: False if zipstrap.pth or zipstrap.start adds the zips, or nothing does
ABSENT = False  # baked at build: True if the tree leaves out modules of the library


def _tree():
    """Return the folder of the tree that the archive of this module is in."""
    return os.path.dirname(os.path.dirname(__spec__.loader.archive))


def _plain():
    """Tell whether the boot is the tree's own beyond doubt: every path is spelled as in the tree."""
    own = __spec__.loader.archive
    tree = _tree()
    if not sys.base_exec_prefix == sys.base_prefix in (tree, tree + "/bin"):  # bin: of a ._pth file in it
        return False
    # bin, or libexec of a generation; up to 3.10 the way to that is spelled over the link in the prefix's bin
    if os.path.dirname(os.path.dirname(os.readlink("/proc/self/exe"))) != os.path.normpath(tree):
        return False
    for entry in sys.path:
        if entry.endswith("/lib-dynload") and not entry.startswith(tree + "/"):
            return False
    for module in list(sys.modules.values()):
        # A frozen module's __file__ names a file that is not there: only loaders tell the truth.
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if not isinstance(loader, type):  # built in or frozen
            place = getattr(loader, "archive", None) or getattr(loader, "path", None)
            if place and place != own:
                return False
    return True


def _guard():
    """Take the quick look, and if need be the closer one, from our own archive and no other."""
    try:
        if _plain():
            return
    except OSError:
        pass  # a system without /proc
    names = {"__name__": "zipstrap_guard"}
    exec(__spec__.loader.get_code("zipstrap_guard"), names)
    names["guard"](__spec__.loader, ACTION)


def _zips():
    """Add the archives in the zips folders of the tree's own site folders; a venv may not have these."""
    import site

    for folder in site.getsitepackages([_tree()]):
        if folder in sys.path and os.path.isdir(folder + "/zips"):
            import zipstrap_zips

            zipstrap_zips.add(folder)


def _find_absent(name, path=None, target=None):  # noqa: ARG001 - as finders have it
    """Load the finder that tells what is left out, put it in our place, and ask it."""
    import _imp

    space = {"__name__": "zipstrap_absent"}
    code = __spec__.loader.get_code("zipstrap_absent")
    _imp._fix_co_filename(code, _find_absent.__code__.co_filename)
    exec(code, space)
    finder = space["find_spec"]
    finder.find_spec = finder
    sys.meta_path[:] = [finder if each is _find_absent else each for each in sys.meta_path]
    return finder(name)


def _absent():
    """Put a finder last; what it needs is loaded when the first import fails."""
    import _imp

    # tracebacks of failed imports leave out what is named so (Python/import.c, remove_importlib_frames)
    _imp._fix_co_filename(_find_absent.__code__, "<frozen importlib._bootstrap_external>")
    _find_absent.find_spec = _find_absent
    sys.meta_path.append(_find_absent)


def _chain():
    """Run the next ``sitecustomize``, as if this one were not there; its errors are site's to handle."""
    import _frozen_importlib  # loaded in every interpreter; what `importlib.util` is a face of

    archive = getattr(__spec__.loader, "archive", None)
    after = sys.path.index(archive) + 1 if archive in sys.path else 0
    spec = _frozen_importlib._find_spec("sitecustomize", sys.path[after:])
    if spec is None or spec.origin == __spec__.origin:
        return
    ours = sys.modules.pop("sitecustomize")
    try:
        _frozen_importlib._load(spec)
    except BaseException:
        sys.modules.setdefault("sitecustomize", ours)  # for the import of ours to remove
        raise


for _wanted, _step in ((ACTION != "off", _guard), (ZIPS, _zips), (ABSENT, _absent)):
    try:
        if _wanted:
            _step()
    except Exception:
        pass
_chain()
