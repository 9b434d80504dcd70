# What stands in for the rest of the importer when the archives are gone and the library's folder is whole: an
# installation that was converted in place has been restored, while this program runs. The folder has the
# library again, for the file finder; what is in BOOT is still here. It joins the importer's namespace.


class Folder(dict):
    def __missing__(self, name):
        return None  # of all modules, in the index

    def index(self):
        return self

    def find_beside(self, importer, fullname):
        return file_hook(importer.path).find_spec(fullname)

    def attribute(self, importer, name):
        raise AttributeError(name)

    def __getattr__(self, name):  # of the rest: methods of a loader, or what does nothing any more
        return getattr(SourceFileLoader, name, lambda *_: None)


INDEX = Folder()


def rest():
    return INDEX
