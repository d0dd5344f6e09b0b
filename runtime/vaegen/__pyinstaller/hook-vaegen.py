"""What a frozen program needs of vaegen beside the modules that PyInstaller finds: the shipped models and the page."""

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("vaegen", subdir="models") + collect_data_files("vaegen", subdir="web")
