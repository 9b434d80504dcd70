# What each start of the layout `isolated` does besides. It joins the namespace of `zipstrap_importer.py`,
# when the importer is in its place and has imported nothing yet.
#
# A `._pth` file beside the executable has fixed sys.path, and no environment variable is read but for those
# that the interpreter reads before it looks for that file (Python/initconfig.c): what they may say of where
# code comes from is undone here, and so is what the library would read when it is asked (sysconfig,
# breakpoint()); `zipstrap verify --hijack` tries them all. The `import site` line of such a file is not used:
# site would run the .pth files of all site folders, the user's one among them, sitecustomize and
# usercustomize (3.11 to 3.15).

SITE = "off"  # baked at build: off or on


def stop(problem):
    from posix import _exit, write

    write(2, ("zipstrap: %s %s; stopped\n" % (TREE, problem)).encode("utf-8", "surrogateescape"))
    _exit(121)


def warnings_of(arguments):
    # Return the filters that stand in the command line before the program.
    given = []
    while arguments and arguments[0].startswith("-") and arguments[0] not in ("-", "--", "-c", "-m"):
        option = arguments.pop(0)
        value = arguments.pop(0) if option in ("-W", "-X") and arguments else option[2:]
        if option.startswith("-W"):
            given.append(value)
    return given


def ignore_environment():
    from posix import environ, unsetenv

    # Read by now, and nothing can take them back: a prompt after the program; a module before site.
    for name, is_read in ((b"PYTHONINSPECT", sys.flags.inspect), (b"PYTHON_PRESITE", "d" in sys.abiflags)):
        if is_read and environ.get(name):
            stop("is not started with %s, which cannot be undone" % name.decode())
    # A filter may name a class, whose module is imported. One that is given by -W as well is there once.
    filters = environ.get(b"PYTHONWARNINGS", b"").decode("utf-8", "surrogateescape")
    if filters:
        given = warnings_of(sys.orig_argv[1:])
        for option in filters.split(","):
            if option in sys.warnoptions and option not in given:
                sys.warnoptions.remove(option)
    # The library reads these when it is asked, in isolated starts too: what breakpoint() calls, a file that
    # prompts written in Python run first, and from where sysconfig takes what it says of the build.
    for name in (
        b"PYTHONBREAKPOINT",
        b"PYTHONSTARTUP",
        b"_PYTHON_PROJECT_BASE",
        b"_PYTHON_SYSCONFIGDATA_NAME",
        b"_PYTHON_SYSCONFIGDATA_PATH",
    ):
        if environ.pop(name, None) is not None:
            unsetenv(name)


def isolate():
    # Stop a start that is not isolated; let the others have the tree's own places.
    if not sys.flags.isolated or not sys.flags.no_site or sys.path != [ARCHIVE, *FOLDERS]:
        stop("was not started with the ._pth file that it was built with")
    ignore_environment()
    # The folder of the ._pth file counts as the prefix: from there on down nothing would be found.
    sys.prefix = sys.exec_prefix = sys.base_prefix = sys.base_exec_prefix = TREE[:-1]
    wrong, sys._stdlib_dir = sys._stdlib_dir, FOLDER[:-1]
    sys.platlibdir = LIBRARY_PLACE.rpartition("/")[0]  # PYTHONPLATLIBDIR
    if "pycache_prefix" not in sys._xoptions:
        sys.pycache_prefix = None  # PYTHONPYCACHEPREFIX: from where bytecode would be taken
        if sys.flags.optimize != LEVEL:
            # The build made none of that level, so what there is of it beside sources is somebody else's.
            sys.pycache_prefix = "/dev/null"
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
del isolate, ignore_environment, stop, warnings_of
