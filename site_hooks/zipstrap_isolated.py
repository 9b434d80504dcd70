# What each start of the layout `isolated` does besides. It joins the namespace of `zipstrap_importer.py`,
# when the importer is in its place and has imported nothing yet.
#
# A `._pth` file beside the executable has fixed sys.path, and no environment variable is read but for those
# that the interpreter reads before it looks for that file (Python/initconfig.c): what they may say of where
# code comes from is undone here. The `import site` line of such a file is not used: site would run the .pth
# files of all site folders, the user's one among them, sitecustomize and usercustomize (3.11 to 3.15).

SITE = "off"  # baked at build: off or on


def isolate():
    # Stop a start that is not isolated; let the others have the tree's own places.
    if not sys.flags.isolated or not sys.flags.no_site or sys.path != [ARCHIVE, *FOLDERS]:
        from posix import _exit, write

        line = "zipstrap: %s was not started with the ._pth file that it was built with; stopped\n" % TREE
        write(2, line.encode("utf-8", "surrogateescape"))
        _exit(121)
    # The folder of the ._pth file counts as the prefix: from there on down nothing would be found.
    sys.prefix = sys.exec_prefix = sys.base_prefix = sys.base_exec_prefix = TREE[:-1]
    wrong, sys._stdlib_dir = sys._stdlib_dir, FOLDER[:-1]
    sys.platlibdir = LIBRARY_PLACE.rpartition("/")[0]  # PYTHONPLATLIBDIR
    if "pycache_prefix" not in sys._xoptions:
        sys.pycache_prefix = None  # PYTHONPYCACHEPREFIX: from where bytecode would be taken
    for module in list(sys.modules.values()):  # frozen ones, of which few are loaded
        path = getattr(module, "__file__", None)
        if wrong and path and path.startswith(wrong):
            path = module.__file__ = FOLDER + path[len(wrong) + 1 :]
            state = getattr(module.__spec__, "loader_state", None)
            if state is not None:
                state.filename = path
    if SITE == "on":
        # the flag no_site keeps its main() from running: this is what that would do for an isolated start
        import site

        site.ENABLE_USER_SITE = False
        site.setquit()
        site.setcopyright()
        site.sethelper()


isolate()
del isolate
