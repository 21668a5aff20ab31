"""Check that a wheel has every file of the package, and an sdist what builds it: `check_contents.py WHEEL SDIST`."""

import pathlib
import subprocess
import sys
import tarfile
import zipfile

wheel, sdist = sys.argv[1:]
listed = subprocess.run(["git", "ls-files", "contextual_rnn"], capture_output=True, text=True, check=True).stdout
package = set(listed.split())
with zipfile.ZipFile(wheel) as archive:
    in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    text = archive.read(metadata).decode()
with tarfile.open(sdist) as archive:
    in_sdist = {"/".join(pathlib.PurePosixPath(name).parts[1:]) for name in archive.getnames()}

faults = [f"the wheel lacks {name}" for name in sorted(package - in_wheel)]
faults += [f"the wheel has {name}, which is no file of the package" for name in sorted(in_wheel - package)]
needed = package | {"pyproject.toml", "README.md", "LICENSE"}
faults += [f"the sdist lacks {name}" for name in sorted(needed - in_sdist)]
faults += [
    f"the metadata lack {field}"
    for field in ("License-Expression:", "Project-URL:", "Provides-Extra: jobs")
    if field not in text
]
if faults:
    sys.exit("\n".join(faults))
print(f"{len(in_wheel)} files in the wheel, {len(in_sdist)} in the sdist")
