# SPDX-License-Identifier: PostgreSQL
"""The Dockerfile, docker-compose.yml and deploy/, as far as they can be tried without a container engine.

What is done: the COPY and RUN lines of the stage `build` are carried out in a copy of the tree; the packages are asked of
apt (simulated) and compared with the libraries that the binary needs; pgfold runs with the environment, user, capabilities
and read-only root that the files ask for (in a mount namespace, where the machine allows one); the health checks, the
sample application and the probes are run as they are written there, with hosts and ports replaced. What is not done: images
are not pulled, layers not built, and PostgreSQL's own image is not started.
"""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import urllib.request

import pytest
import servers

yaml = pytest.importorskip("yaml", reason="needs python3-yaml")
pytestmark = pytest.mark.pgfold
ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "../.."))
PYTHON = "/usr/bin/python3"


def text_of(name):
    with open(os.path.join(ROOT, name)) as f:
        return f.read()


def dockerfile():
    """{stage: [(instruction, rest)]}"""
    stages, name = {}, None
    lines = re.sub(r"\\\n", " ", "\n".join(x for x in text_of("Dockerfile").splitlines() if not x.startswith("#")))
    for line in filter(str.strip, lines.splitlines()):
        instruction, rest = line.split(None, 1)
        if instruction == "FROM":
            image, word, name = rest.split()
            assert (image, word) == ("debian:bookworm-slim", "AS")
            stages[name] = []
        else:
            stages[name].append((instruction, rest))
    return stages


def only(stage, instruction):
    found = [rest for name, rest in dockerfile()[stage] if name == instruction]
    assert len(found) == 1, "%s has %d lines %s" % (stage, len(found), instruction)
    return found[0]


def environment(stage):
    return dict(rest.split("=", 1) for name, rest in dockerfile()[stage] if name == "ENV")


def packages(stage):
    run = [rest for name, rest in dockerfile()[stage] if name == "RUN" and "apt-get install" in rest]
    assert len(run) == 1 and "--no-install-recommends" in run[0] and "rm -rf /var/lib/apt/lists" in run[0]
    words = run[0].split("--no-install-recommends")[1].split("&&")[0].split()
    return words


def compose():
    return yaml.safe_load(text_of("docker-compose.yml"))["services"]


def substituted(value):
    """${NAME:-default} as with nothing set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def manifests():
    return {d["kind"]: d for d in yaml.safe_load_all(text_of("deploy/kubernetes.yaml"))}


def pod():
    return manifests()["Deployment"]["spec"]["template"]["spec"]


# ---- the build


def context_copy(folder):
    """What `docker build` would send: .dockerignore refuses all and allows some."""
    rules = [x for x in text_of(".dockerignore").splitlines() if x and not x.startswith("#")]
    assert rules[0] == "*" and all(r.startswith("!") for r in rules[1:])
    for name in (r[1:] for r in rules[1:]):
        source, target = os.path.join(ROOT, name), os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copytree(source, target) if os.path.isdir(source) else shutil.copy(source, target)


def copy_line(rest, context, target_root):
    *sources, target = rest.split()
    for s in sources:
        source, destination = os.path.join(context, s), os.path.join(target_root, target)
        assert os.path.exists(source), "COPY %s: not in the context (.dockerignore)" % s
        if os.path.isdir(source):
            shutil.copytree(source, destination, dirs_exist_ok=True)
        else:
            shutil.copy(source, destination)


@pytest.fixture(scope="module")
def image_binary(tmp_path_factory):
    """pgfold as the stage `build` makes it."""
    folder = tmp_path_factory.mktemp("image")
    folder.parent.chmod(0o755), folder.chmod(0o755)
    context, src = str(folder / "context"), str(folder / "src")
    os.makedirs(src)
    context_copy(context)
    for instruction, rest in dockerfile()["build"]:
        if instruction == "WORKDIR":
            assert rest == "/src"
        elif instruction == "COPY":
            copy_line(rest, context, src)
        elif instruction == "RUN" and "apt-get" not in rest:
            assert "/src" in rest
            servers.run("/bin/sh", "-ec", rest.replace("/src", src), cwd=src)
    copied = [rest for name, rest in dockerfile()["pgfold"] if name == "COPY" and rest.startswith("--from=build")]
    source, target = copied[0].split()[1:]
    assert target == shlex.split(json.loads(only("pgfold", "ENTRYPOINT"))[0])[0]
    binary = source.replace("/src", src)
    for d in (src, os.path.dirname(binary)):
        os.chmod(d, 0o755)
    return binary


def test_the_build_makes_a_binary_of_its_own(image_binary):
    assert servers.run(image_binary, "--version").startswith("pgfold ")
    assert b".debug_info" not in open(image_binary, "rb").read(), "the binary is not stripped"


@pytest.mark.parametrize("name", ["README.md", "demo", "check", "Dockerfile"])
def test_whoever_builds_is_told_all_packages(name):
    """meson.build names what it misses by Debian's packages: whoever lists them elsewhere lists these."""
    wanted = set(re.findall(r"'(lib[a-z0-9-]+-dev|uthash-dev)'", text_of("meson.build"))) - {"libsystemd-dev"}
    assert len(wanted) >= 10
    assert wanted <= set(re.findall(r"[a-z0-9-]+", text_of(name)))


def is_bookworm():
    with open("/etc/os-release") as f:
        return "bookworm" in f.read()


@pytest.mark.parametrize("stage", ["build", "app", "pgfold"])
def test_packages_exist(stage):
    if not is_bookworm():
        pytest.skip("the images are of Debian 12, this machine is not")
    if not any(name.endswith("Packages") or "Packages" in name for name in os.listdir("/var/lib/apt/lists")):
        pytest.skip("apt has no lists here: run apt-get update")
    servers.run("apt-get", "install", "--simulate", "--no-install-recommends", *packages(stage))


def test_runtime_packages_bring_the_libraries(image_binary):
    if not is_bookworm():
        pytest.skip("the images are of Debian 12, this machine is not")
    wanted = set(re.findall(r"NEEDED.*\[(.*)\]", servers.run("readelf", "-d", image_binary))) - {"libc.so.6"}
    paths = dict(re.findall(r"(\S+) => (\S+)", servers.run("ldd", image_binary)))
    for library in wanted:
        path = os.path.realpath(paths[library])
        owner = servers.run("dpkg", "-S", path[4:] if path.startswith("/usr/lib/") and not owned(path) else path)
        assert owner.split(":")[0] in packages("pgfold"), "%s is in %s" % (library, owner)


def owned(path):
    return subprocess.run(["dpkg", "-S", path], capture_output=True).returncode == 0


# ---- pgfold as the image runs it


@pytest.mark.parametrize("stage", ["pgfold", "app"])
def test_the_image_does_not_run_as_root(stage):
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", only(stage, "USER"))


def locked_down(command):
    """The command with the image's user, no capability, no new privileges and, where possible, a root that is read-only."""
    if os.geteuid() != 0:
        return command
    uid, gid = only("pgfold", "USER").split(":")
    bare = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--bounding-set=-all", "--no-new-privs", *command]
    script = "mount -o remount,bind,ro / && ! touch /read-only-root 2>/dev/null && exec \"$@\""
    trial = ["unshare", "-m", "sh", "-c", script, "sh"]
    if subprocess.run([*trial, "true"], capture_output=True).returncode != 0:
        return bare
    return [*trial, *bare]


class Container(servers.Endpoint):
    """A process with an environment of its own and nothing else."""

    def __init__(self, command, env, log):
        self.log_file = str(log)
        with open(self.log_file, "wb") as f:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=f, cwd="/",
                                            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", **env},
                                            preexec_fn=servers.die_with_parent)

    def log(self):
        with open(self.log_file, errors="replace") as f:
            return f.read()

    def wait_for(self, words):
        def there():
            assert self.process.poll() is None, self.log()
            return words in self.log()
        servers.wait_for(there, words)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(servers.STOP_SECONDS)
        assert code == 0, "exit code %s\n%s" % (code, self.log())


def pgfold_environment(pg, port):
    """What docker-compose.yml gives to pgfold, over what the Dockerfile does, with this run's ports."""
    env = {**environment("pgfold"), **compose()["pgfold"]["environment"]}
    assert env["PGFOLD_LISTEN"] == "127.0.0.1:6432" and env["PGFOLD_SERVER"] == "host=postgres port=5432"
    assert env["PGFOLD_CONFIG"] == "/etc/pgfold/pgfold.ini"
    assert "deploy/container.ini /etc/pgfold/pgfold.ini" in [r for n, r in dockerfile()["pgfold"] if n == "COPY"]
    return {**env, "PGFOLD_LISTEN": "127.0.0.1:%d" % port, "PGFOLD_HTTP_LISTEN": "127.0.0.1:%d" % servers.free_port(),
            "PGFOLD_CONFIG": os.path.join(ROOT, "deploy/container.ini"), "PGFOLD_SERVER": "host=127.0.0.1 port=%d" % pg.port}


@pytest.fixture
def container(image_binary, pg, tmp_path):
    port = servers.free_port()
    env = pgfold_environment(pg, port)
    c = Container(locked_down([image_binary]), env, tmp_path / "log")
    c.port, c.http, c.binary = port, env["PGFOLD_HTTP_LISTEN"], image_binary
    c.wait_for("listening on")
    yield c
    if c.process.poll() is None:
        c.process.send_signal(signal.SIGCONT)
    c.stop()


def run_healthcheck(command, container, **env):
    """As the image runs it, but pgfold is another process than 1."""
    assert command[:2] == ["/usr/local/bin/pgfold", "healthcheck"]
    arguments = [str(container.process.pid) if a == "1" else a for a in command[1:]]
    done = subprocess.run([container.binary, *arguments], capture_output=True, timeout=30, env={"PATH": "/nonexistent"} | env)
    return done.returncode


def healthcheck_commands():
    test = compose()["pgfold"]["healthcheck"]["test"]
    assert test[0] == "CMD"
    return [test[1:], json.loads(re.search(r"CMD (\[.*\])", only("pgfold", "HEALTHCHECK")).group(1))]


def test_health_of_a_running_one(container):
    assert [run_healthcheck(c, container) for c in healthcheck_commands()] == [0, 0]
    with container.connect() as c:
        assert c.sql("SELECT 1")
    assert "WARNING" not in container.log(), "a health check must not fill the log"


def test_health_of_one_that_hangs_and_one_that_is_gone(container):
    command = healthcheck_commands()[0]
    container.process.send_signal(signal.SIGSTOP)
    assert run_healthcheck(command, container) != 0
    container.process.send_signal(signal.SIGCONT)
    container.stop()
    assert run_healthcheck(command, container) != 0


@pytest.mark.parametrize("settings", ["[pgfold]\nlisten = %(dir)s:6000\n[http]\nlisten =\n",
                                      "[pgfold]\nlisten = :%(port)d, %(dir)s:6000\n[http]\nlisten =\n",
                                      "[pgfold]\nlisten = %(dir)s:6000\n[http]\nlisten = :%(port)d\n"])
def test_healthcheck_reads_the_file_and_knows_unix_sockets(image_binary, pg, tmp_path, settings):
    """Also one that was started with options instead of the environment, and whose server is down."""
    folder = tempfile.mkdtemp(prefix="pgfold-")  # a short path: Unix sockets' are limited
    text = settings % {"dir": folder, "port": servers.free_port()}
    (tmp_path / "pgfold.ini").write_text(text)
    c = Container([image_binary, "-c", str(tmp_path / "pgfold.ini"), "--server", "host=127.0.0.1 port=1"], {}, tmp_path / "log")
    try:
        c.binary = image_binary
        c.wait_for("listening on")
        like = ["/usr/local/bin/pgfold", "healthcheck", "--like", "1"]
        assert run_healthcheck([*like, "/healthz"], c) == 0
        assert run_healthcheck(like, c) == ("[http]\nlisten = :" in text), "ready is who reaches the server"
        named = ["/usr/local/bin/pgfold", "healthcheck", "/healthz", "-c", str(tmp_path / "pgfold.ini")]
        assert run_healthcheck(named, c) == 0
        assert run_healthcheck(named, c, PGFOLD_HTTP_LISTEN="127.0.0.1:1") != 0
    finally:
        c.stop()
        shutil.rmtree(folder)


def test_the_file_is_not_beaten_without_a_word(image_binary, tmp_path):
    file = tmp_path / "pgfold.ini"
    file.write_text("[pgfold]\nlisten = 127.0.0.1:1234\n")
    assert "PGFOLD_LISTEN" not in environment("pgfold"), "a mounted file would be beaten"
    said = servers.run(image_binary, "-c", str(file), "--check-config", env={"PGFOLD_LISTEN": ":6432"})
    assert "pgfold.ini:2: pgfold.listen is not used, since PGFOLD_LISTEN" in said


# ---- deploy/kubernetes.yaml


def test_the_sidecar_is_native_and_probed_over_http(container):
    """Each probe is asked as the kubelet does, at the pod's address."""
    assert len(pod()["initContainers"]) == 1
    sidecar = pod()["initContainers"][0]
    assert sidecar["restartPolicy"] == "Always", "else it is no sidecar: the application would never start"
    ports = {p["name"]: p["containerPort"] for p in sidecar["ports"]}
    env = {e["name"]: e["value"] for e in sidecar["env"]}
    assert env["PGFOLD_HTTP_LISTEN"] == ":%d" % ports["metrics"] and env["PGFOLD_LISTEN"].startswith("127.0.0.1:")
    for probe, path in (("startupProbe", "/healthz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
        get = sidecar[probe]["httpGet"]
        assert get["path"] == path and ports[get["port"]] == 6433
        with urllib.request.urlopen("http://%s%s" % (container.http, path), timeout=10) as answer:
            assert answer.status == 200
    seconds = int(env["PGFOLD_DRAIN_TIMEOUT"].removesuffix("s"))
    assert seconds < pod()["terminationGracePeriodSeconds"]
    assert pod()["enableServiceLinks"] is False


def test_the_manifest_has_what_kubernetes_wants():
    for kind, m in manifests().items():
        assert m["metadata"]["name"] and m["apiVersion"] == {"Secret": "v1", "Deployment": "apps/v1"}[kind]
    spec = manifests()["Deployment"]["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    for c in pod()["initContainers"] + pod()["containers"]:
        assert c["image"] and c["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not c["securityContext"]["allowPrivilegeEscalation"] and c["securityContext"]["readOnlyRootFilesystem"]
        assert all(isinstance(e["value"], str) for e in c.get("env", [])), "values of variables are texts"


# ---- docker-compose.yml


def test_compose_services_are_locked_down():
    services = compose()
    assert set(services) == {"postgres", "pgfold", "app"}
    for name, s in services.items():
        assert s["read_only"] is True, name
        assert s["cap_drop"] == ["ALL"] and "cap_add" not in s and "privileged" not in s, name
        assert "no-new-privileges:true" in s["security_opt"], name
        assert all(p.startswith("127.0.0.1:") for p in s.get("ports", [])), name
        assert "healthcheck" in s, name
    assert services["app"]["network_mode"] == "service:pgfold"
    assert {s["build"]["target"] for s in services.values() if "build" in s} <= set(dockerfile())
    for name in ("pgfold", "app"):
        assert all(d["condition"] == "service_healthy" for d in services[name]["depends_on"].values())


def test_compose_files_exist():
    for s in compose().values():
        for volume in s.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or os.path.isfile(os.path.join(ROOT, source))


def test_compose_sql_runs(pg):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql("CREATE DATABASE compose_init")
    with pg.connect(servers.SUPERUSER, "compose_init") as c:
        for statement in text_of("deploy/compose-init.sql").split(";"):
            c.sql(statement)


def test_compose_application_works_through_pgfold(container, pg, tmp_path):
    s = compose()["app"]
    url = substituted(s["environment"]["DATABASE_URL"])
    assert url == "postgresql://library:only-for-the-demo@127.0.0.1:6432/library?sslmode=disable"
    web = servers.free_port()
    entry = json.loads(only("app", "ENTRYPOINT"))
    assert entry == [PYTHON, "/usr/local/bin/page.py"]
    assert only("app", "COPY") == "examples/page.py /usr/local/bin/page.py"
    arguments = [a.replace("0.0.0.0:8080", "127.0.0.1:%d" % web) for a in s["command"]]
    page = os.path.join(ROOT, "examples/page.py")
    app = Container([PYTHON, page, *arguments],
                    {**environment("app"), "DATABASE_URL": "postgresql://app@127.0.0.1:%d/app?sslmode=disable" % container.port},
                    tmp_path / "app.log")
    try:
        app.wait_for("serving the page")
        health = [a.replace(":8080", ":%d" % web) for a in s["healthcheck"]["test"][1:]]
        servers.run(*health)
        for _ in range(3):
            with urllib.request.urlopen("http://127.0.0.1:%d/" % web, timeout=60) as answer:
                lines = answer.read().decode().splitlines()
            assert lines[0] == "Book 1, by Author 7920 (1920)" and len([x for x in lines if x.startswith("Book ")]) == 200
    finally:
        app.stop()
        servers.run(PYTHON, page, "--drop", env={**os.environ, "DATABASE_URL": "postgresql://app@127.0.0.1:%d/app" % pg.port})


# ---- deploy/


def check_config(binary, env, *arguments):
    done = subprocess.run([binary, *arguments, "--check-config"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|min)", text).groups()
    return int(number) * {"s": 1, "min": 60}[unit]


def test_kubernetes_sidecar(image_binary):
    sidecar, spec = pod()["initContainers"][0], pod()
    assert sidecar["restartPolicy"] == "Always" and spec["enableServiceLinks"] is False
    env = {e["name"]: e["value"] for e in sidecar["env"]}
    check_config(image_binary, env)
    assert seconds(env["PGFOLD_DRAIN_TIMEOUT"]) < spec["terminationGracePeriodSeconds"]
    url = manifests()["Secret"]["stringData"]["DATABASE_URL"]
    assert "@%s/" % env["PGFOLD_LISTEN"] in url
    context = sidecar["securityContext"]
    assert "%d:%d" % (context["runAsUser"], context["runAsGroup"]) == only("pgfold", "USER")
    assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"] and context["capabilities"]["drop"] == ["ALL"]
