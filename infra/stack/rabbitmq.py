"""The broker: a RabbitMQ node of our own, run from the system's package but sharing nothing with the system's node.

The node has its own name, cookie, data, ports and epmd (Erlang's name service), so that two stacks and a system service
live side by side. epmd runs as a plain child: left to itself, Erlang starts one that outlives everybody.
"""

import socket
import subprocess
from pathlib import Path

from infra.stack import private
from infra.stack.endpoints import BrokerNode
from infra.stack.errors import StackError
from infra.stack.ports import HOST, Port
from infra.stack.processes import Process, Program
from infra.stack.server import PATH, Server

#: The package's own scripts. Those in the search path change the user and refuse to run for anyone but root.
SCRIPTS = Path("/usr/lib/rabbitmq/bin")
VHOST = USER = "reelmill"
PATIENCE_SECONDS = 300.0
_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"


def script(name: str) -> Path:
    """A program of the RabbitMQ package. Raises StackError when the package is not installed."""
    path = SCRIPTS / name
    if not path.exists():
        raise StackError(
            "RabbitMQ is not installed: install the system package rabbitmq-server (apt-get install rabbitmq-server)."
        )
    return path


def installed() -> None:
    """Raises StackError when the package is not installed."""
    script("rabbitmq-server")


def environment(node: BrokerNode) -> dict[str, str]:
    """What every Erlang program of this node needs to know. None of them may start an epmd."""
    return {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "HOME": node.home,
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_EPMD_PORT": str(node.epmd_port),
        "ERL_ZFLAGS": "-start_epmd false",
        "RABBITMQ_NODENAME": node.name,
        "RABBITMQ_CONF_ENV_FILE": f"{node.home}/rabbitmq-env.conf",
        "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK,
    }


def rabbitmqctl(node: BrokerNode, *arguments: str, timeout: float = PATIENCE_SECONDS) -> str:
    """Run `rabbitmqctl` on a node and return what it prints. Raises StackError with its complaint."""
    command: list[str | Path] = [script("rabbitmqctl"), "--quiet", "--node", node.name, *arguments]
    try:
        done = subprocess.run(
            command, env=environment(node), capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"rabbitmqctl {arguments[0]} took more than {timeout:g} s.") from None
    if done.returncode != 0:
        raise StackError(f"rabbitmqctl {' '.join(arguments)} failed:\n{(done.stderr or done.stdout).strip()}")
    return str(done.stdout)


def evaluate(node: BrokerNode, expression: str, timeout: float = PATIENCE_SECONDS) -> str:
    """Evaluate Erlang on a node and return the result in Erlang's words. Raises StackError.

    In a hundredth of the time of `rabbitmqctl eval`, which starts a whole Erlang for it.
    """
    command = ["erl_call", "-sname", node.name, "-timeout", f"{timeout:.0f}", "-e"]
    try:
        done = subprocess.run(
            command,
            env=environment(node),
            input=f"{expression}.\n",
            capture_output=True,
            text=True,
            timeout=timeout + 1,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"erl_call cannot reach the broker: {error}") from None
    if not done.stdout.startswith("{ok, "):
        raise StackError(f"The broker did not evaluate it:\n{(done.stdout + done.stderr).strip()}")
    return str(done.stdout).removeprefix("{ok, ").rstrip().removesuffix("}")


class RabbitMQ(Server):
    """A RabbitMQ node with its data in `rabbitmq/`, AMQP on one port and Prometheus metrics on another."""

    name = "rabbitmq"
    _epmd: Process | None = None

    @property
    def node(self) -> BrokerNode:
        """How to reach it for administration."""
        name = f"reelmill-{self.site.identity.id}@localhost"
        return BrokerNode(name=name, home=str(self._folder), epmd_port=self.port(Port.EPMD))

    @property
    def url(self) -> str:
        """Where it is, with user and password."""
        return f"amqp://{USER}:{self.site.identity.amqp_password}@{HOST}:{self.port(Port.AMQP)}/{VHOST}"

    @property
    def metrics(self) -> str:
        """Where Prometheus finds it."""
        return f"http://{HOST}:{self.port(Port.PROMETHEUS)}/metrics"

    @property
    def _folder(self) -> Path:
        return self.site.home / "rabbitmq"

    def prepare(self) -> None:
        folder = private.folder(self._folder)
        private.write(folder / ".erlang.cookie", self.site.identity.cookie)
        private.write(folder / "enabled_plugins", "[rabbitmq_prometheus].")
        private.write(folder / "rabbitmq-env.conf", "")
        settings = {
            "listeners.tcp.1": f"{HOST}:{self.port(Port.AMQP)}",
            "prometheus.tcp.ip": HOST,
            "prometheus.tcp.port": self.port(Port.PROMETHEUS),
            "default_vhost": VHOST,
            "default_user": USER,
            "default_pass": self.site.identity.amqp_password,
            "log.file": "false",
            "log.console": "true",
        }
        private.write(folder / "rabbitmq.conf", "".join(f"{key} = {value}\n" for key, value in settings.items()))
        self._start_epmd()

    def _start_epmd(self) -> None:
        if self._epmd is None or not self._epmd.running():
            self._epmd = self.spawn(Program("epmd", ["epmd"], environment(self.node), cwd=self._folder, grace=1.0))

    def program(self) -> Program:
        folder = self._folder
        env = environment(self.node) | {
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_DIST_PORT": str(self.port(Port.DISTRIBUTION)),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOOPBACK,
            # The script then becomes the broker instead of standing between it and us.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        return Program(self.name, [script("rabbitmq-server")], env, cwd=folder, grace=15.0)

    def answers(self) -> bool:
        """It greets an AMQP client: the first frame of the protocol is a method frame."""
        try:
            with socket.create_connection((HOST, self.port(Port.AMQP)), timeout=2) as client:
                client.sendall(b"AMQP\x00\x00\x09\x01")
                return client.recv(1) == b"\x01"
        except OSError:
            return False

    def stop(self) -> None:
        if self.running:
            self._detach_statistics()
        super().stop()
        if self._epmd:
            self._epmd.stop()

    def kill(self) -> None:
        super().kill()
        if self._epmd:
            self._epmd.kill()

    def _detach_statistics(self) -> None:
        """Save five seconds: on the way down the management agent waits that long for an answer from itself."""
        try:
            evaluate(self.node, "gen_event:delete_handler(rabbit_event, rabbit_mgmt_db_handler, stop)", timeout=5)
        except StackError:
            return
