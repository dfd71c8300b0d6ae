"""A real PostgreSQL on loopback, in a folder of its own."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from server import eventually


class Postgres:
    """It refuses to run as root: then it runs as the user that Debian's package has made for it."""

    def __enter__(self):
        binaries = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])).parent
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tyto-postgres-"))
        self.user = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.data, self.binaries = self.folder / "data", binaries
        subprocess.run([binaries / "initdb", "-D", self.data, "-U", "clinic", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
                       check=True, capture_output=True, timeout=120, cwd=self.folder, **self.user)
        self.log = open(self.folder / "log", "w")
        self.start()
        return self

    def start(self):
        self.process = subprocess.Popen(
            [self.binaries / "postgres", "-D", self.data, "-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-c", "fsync=off"],
            stdout=self.log, stderr=self.log, cwd=self.folder, **self.user)
        eventually(self._answers, timeout=60)

    def kill(self):
        """At once: its children go with it."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.folder)
