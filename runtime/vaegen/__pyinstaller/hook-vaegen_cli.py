"""What a frozen program needs of the command line beside the modules that PyInstaller finds: the verbs."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("vaegen_cli")
