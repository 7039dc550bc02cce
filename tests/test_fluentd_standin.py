"""Fluentd's stand-in does what Fluentd does, for the same configuration and the same input.

What is expected comes from Fluentd's documentation and from the tests of its source: out_file
(test/plugin/test_out_file.rb), patterns (test/test_match.rb), record_transformer, buf_file.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dockyard.waiting import wait_until

PROGRAM = Path(__file__).parent.parent / "images" / "fluentd"
AT = 1294060455  # 2011-01-03 13:14:15 UTC
pack = msgspec.msgpack.encode

SOURCE = """
<source>
  @type forward
  bind 127.0.0.1
  port {port}
</source>
"""


class Collector:
    """The program, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self, conf: str, **environment: str) -> None:
        """Run it with a `<source>` and *conf*, in which DIR is the test's folder."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        text = SOURCE.format(port=self.port) + conf.replace("DIR", str(self.folder))
        (self.folder / "fluent.conf").write_text(text)
        self._process = self.run("fluent.conf", **environment)
        wait_until(lambda: "listening" in self.log, 60)

    def run(self, conf: str, **environment: str) -> "subprocess.Popen[str]":
        with (self.folder / "log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "standin", "-c", conf],
                cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, text=True,
                env={**os.environ, "PYTHONPATH": str(PROGRAM), "TZ": "UTC",
                     "PYTHONDONTWRITEBYTECODE": "1", **environment},
            )  # fmt: skip

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        status, self._process = self._process.wait(60), None
        return status

    def send(self, *messages: Any) -> list[Any]:
        """Send messages over one connection; the answers to those that ask for one."""
        answers = []
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            for message in messages:
                connection.sendall(pack(message))
                option = message[-1]
                if isinstance(option, dict) and "chunk" in option:
                    answers.append(msgspec.msgpack.decode(connection.recv(999)))
        return answers

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_for(self, name: str, lines: int = 1) -> list[str]:
        """The lines of a file, as soon as there are so many."""
        path = self.folder / name
        wait_until(lambda: path.is_file() and path.read_text().count("\n") >= lines, 60)
        return path.read_text().splitlines()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    yield made
    made.stop(signal.SIGKILL)


def event_time(seconds: int, nanoseconds: int) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(0, struct.pack(">II", seconds, nanoseconds))


FILE = """
<match **>
  @type file
  path DIR/data
  append true
  <format>
    utc true
  </format>
  <buffer>
    flush_mode immediate
  </buffer>
</match>
"""


def test_it_says_what_it_is(collector: Collector) -> None:
    collector.start(FILE)
    assert "this is Dockyard's stand-in for Fluentd, not Fluentd itself" in collector.log
    assert collector.stop() == 0


@pytest.mark.parametrize(
    "message",
    [
        ["docker.vote", AT, {"a": 1}],
        ["docker.vote", event_time(AT, 5), {"a": 1}],
        ["docker.vote", [[AT, {"a": 1}]]],
        ["docker.vote", pack([event_time(AT, 5), {"a": 1}]), {"size": 1}],
    ],
    ids=["message", "message with nanoseconds", "forward", "packed forward"],
)
def test_each_mode_of_the_protocol(collector: Collector, message: list[Any]) -> None:
    collector.start(FILE)
    collector.send(message)
    assert collector.wait_for("data.20110103.log") == ['2011-01-03T13:14:15Z\tdocker.vote\t{"a":1}']


def test_acknowledges_what_asks_for_it(collector: Collector) -> None:
    collector.start(FILE)
    answers = collector.send(
        ["a", AT, {"n": 1}, {"chunk": "p8n9gmxTQVC8/nh2wlKKeQ=="}], ["a", AT, {"n": 2}]
    )
    assert answers == [{"ack": "p8n9gmxTQVC8/nh2wlKKeQ=="}]
    assert len(collector.wait_for("data.20110103.log", 2)) == 2


def test_a_broken_message_ends_its_connection_only(collector: Collector) -> None:
    collector.start(FILE)
    with socket.create_connection(("127.0.0.1", collector.port)) as connection:
        connection.sendall(b"\xc1")
        assert connection.recv(9) == b""
    collector.send(["a", AT, {"n": 1}])
    assert collector.wait_for("data.20110103.log")


def test_text_stays_as_it_is(collector: Collector) -> None:
    """As Yajl and JSON.generate write it: no \\u, no escaped slash, no spaces."""
    collector.start(FILE)
    collector.send(["a", AT, {"log": 'Zoë said "hi/there"\t', "n": None, "t": True, "f": 1.5}])
    (line,) = collector.wait_for("data.20110103.log")
    assert line.split("\t", 2)[2] == r'{"log":"Zoë said \"hi/there\"\t","n":null,"t":true,"f":1.5}'


@pytest.mark.parametrize(
    ("format_", "line"),
    [
        ("utc true", '2011-01-03T13:14:15Z\ta\t{"n":1}'),
        ("", '2011-01-03T13:14:15+00:00\ta\t{"n":1}'),  # local time, where TZ is UTC
        ("localtime false", '2011-01-03T13:14:15Z\ta\t{"n":1}'),
        ("timezone Asia/Taipei", '2011-01-03T21:14:15+08:00\ta\t{"n":1}'),
        ("timezone -03:30", '2011-01-03T09:44:15-03:30\ta\t{"n":1}'),
        ("utc true\ntime_format %d/%m %H:%M:%S.%L %z", '03/01 13:14:15.007 +0000\ta\t{"n":1}'),
        ("time_type unixtime\ndelimiter COMMA", '1294060455,a,{"n":1}'),
        ("output_tag false\noutput_time false", '{"n":1}'),
        ("@type json", '{"n":1}'),
    ],
)  # fmt: skip
def test_formats(collector: Collector, format_: str, line: str) -> None:
    collector.start(FILE.replace("utc true", format_))
    collector.send(["a", event_time(AT, 7_000_000), {"n": 1}])
    assert collector.wait_for("data.20110103.log") == [line]


def test_inject(collector: Collector) -> None:
    inject = (
        "<inject>\ntag_key tag\ntime_key time\ntime_type string\nutc true\n</inject>\n"
        "<format>\n@type json"
    )
    collector.start(FILE.replace("<format>\n    utc true", inject))
    collector.send(["a", AT, {"n": 1}])
    assert collector.wait_for("data.20110103.log") == [
        '{"n":1,"tag":"a","time":"2011-01-03T13:14:15Z"}'
    ]


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("path DIR/data\nappend true", "data.20110103.log"),
        ("path DIR/data", "data.20110103_0.log"),
        ("path DIR/file.*.txt\nappend true", "file.20110103.txt"),
        ("path DIR/file.*.txt", "file.20110103_0.txt"),
        ("path DIR/day/%Y-%m-%d/x\nappend true", "day/2011-01-03/x.log"),
        ("path DIR/data\nappend true\nadd_path_suffix false", "data.20110103"),
        ("path DIR/data\nappend true\npath_suffix .json", "data.20110103.json"),
    ],
)
def test_names_of_files(collector: Collector, output: str, name: str) -> None:
    collector.start(FILE.replace("path DIR/data\n  append true", output))
    collector.send(["a", AT, {"n": 1}])
    assert collector.wait_for(name)


@pytest.mark.parametrize(
    ("timekey", "stamp"), [("1d", "20110103"), ("1h", "2011010313"), ("15m", "201101031300"),
                           ("10", "20110103131410")],
)  # fmt: skip
def test_the_time_in_a_name_follows_the_timekey(
    collector: Collector, timekey: str, stamp: str
) -> None:
    collector.start(FILE.replace("flush_mode", f"timekey {timekey}\nflush_mode"))
    collector.send(["a", AT, {"n": 1}])
    assert collector.wait_for(f"data.{stamp}.log")


def test_without_append_each_flush_makes_a_file(collector: Collector) -> None:
    collector.start(FILE.replace("append true", ""))
    collector.send(["a", AT, {"n": 1}], ["a", AT, {"n": 2}])
    assert collector.wait_for("data.20110103_0.log") != collector.wait_for("data.20110103_1.log")


def test_tags_in_the_path(collector: Collector) -> None:
    conf = FILE.replace("path DIR/data", "path DIR/${tag[1]}/all").replace(
        "<buffer>", "<buffer tag>"
    )
    collector.start(conf)
    collector.send(["docker.vote", AT, {"n": 1}], ["docker.db", AT, {"n": 2}])
    assert collector.wait_for("vote/all.log") != collector.wait_for("db/all.log")


LAZY = FILE.replace("flush_mode immediate", "timekey 1d")


def buffer_files(collector: Collector) -> list[str]:
    return sorted(path.name for path in (collector.folder / "data").glob("*"))


def test_a_buffer_by_time_waits_until_the_day_is_over(collector: Collector) -> None:
    """buf_file: buffer.b<32 digits>.log and .meta, in the folder that the path names."""
    collector.start(LAZY)
    now = int(time.time())
    collector.send(["a", now, {"n": 1}, {"chunk": "x"}])
    chunk, meta = buffer_files(collector)
    assert re.fullmatch(r"buffer\.b[0-9a-f]{32}\.log", chunk)
    assert meta == f"{chunk}.meta"
    raw = (collector.folder / "data" / meta).read_bytes()
    known = msgspec.msgpack.decode(raw[6:])
    assert raw[:2] == b"\xc1\x00"
    assert struct.unpack(">I", raw[2:6]) == (len(raw) - 6,)
    assert known["id"].hex() in chunk
    assert (known["timekey"], known["s"]) == (now - now % 86400, 1)
    assert not list(collector.folder.glob("data.*.log"))


def test_a_file_buffer_outlives_its_process(collector: Collector) -> None:
    collector.start(LAZY)
    collector.send(["a", int(time.time()), {"n": 1}, {"chunk": "x"}])
    collector.stop()
    assert len(buffer_files(collector)) == 2
    today = time.strftime("data.%Y%m%d.log", time.gmtime())
    collector.start(FILE)
    assert collector.wait_for(today)[0].endswith('{"n":1}')
    wait_until(lambda: not buffer_files(collector), 60)


@pytest.mark.parametrize("setting", ["@type memory", "flush_at_shutdown true"])
def test_what_must_not_stay_is_written_at_the_end(collector: Collector, setting: str) -> None:
    collector.start(LAZY.replace("timekey 1d", setting))
    collector.send(["a", int(time.time()), {"n": 1}, {"chunk": "x"}])
    collector.stop()
    assert len(list(collector.folder.glob("data.*.log"))) == 1


def test_flush_interval_is_ignored_where_chunks_go_by_time(collector: Collector) -> None:
    collector.start(LAZY.replace("timekey 1d", "flush_interval 1s"))
    wanted = "'flush_interval' is ignored because default 'flush_mode' is not 'interval': 'lazy'"
    assert wanted in collector.log


def test_interval(collector: Collector) -> None:
    collector.start(LAZY.replace("timekey 1d", "flush_mode interval\nflush_interval 1s"))
    collector.send(["a", AT, {"n": 1}])
    assert collector.wait_for("data.20110103.log")


def test_filters_before_the_match_change_records(collector: Collector) -> None:
    collector.start("""
<filter docker.**>
  @type record_transformer
  remove_keys source
  <record>
    host "#{ENV['WHERE']}"
    part ${tag_parts[1]}
    same ${record["n"]}
    text no ${record["n"]} of ${tag_suffix[-1]}
  </record>
</filter>
""" + FILE, WHERE="node1")  # fmt: skip
    collector.send(["docker.vote", AT, {"n": 1, "source": "stdout"}], ["other", AT, {"n": 2}])
    lines = [line.split("\t")[2] for line in collector.wait_for("data.20110103.log", 2)]
    assert lines[0] == '{"n":1,"host":"node1","part":"vote","same":1,"text":"no 1 of vote"}'
    assert lines[1] == '{"n":2}'


def test_copy_and_stdout(collector: Collector) -> None:
    collector.start("""
<match a.**>
  @type copy
  <store>
    @type stdout
  </store>
  <store>
    @type null
  </store>
</match>
""")
    collector.send(["a.b", event_time(AT, 1), {"n": 1}], ["b", AT, {}, {"chunk": "x"}])
    wait_until(lambda: '2011-01-03 13:14:15.000000001 +0000 a.b: {"n":1}' in collector.log, 60)
    assert '[warn]: #0 no patterns matched tag="b"' in collector.log


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("a.b", ["a.b"], ["a.c", "a.b.c", "a"]),
        ("a.*", ["a.b", "a.c"], ["a", "a.b.c"]),
        ("a.*.c", ["a.b.c"], ["a.c.c.c", "a.c"]),
        ("a.**", ["a", "a.b", "a.b.c"], ["ab.d.e", "b.a"]),
        ("**.a", ["a", "b.a", "a.a", "b.b.a"], ["ab", "a.b"]),
        ("a.**.b", ["a.b", "a.c.b", "a.c.c.b"], ["a", "a.b.c"]),
        ("{a,b}", ["a", "b"], ["c", "a.b"]),
        ("a.{b,c}.*", ["a.b.x", "a.c.y"], ["a.b", "a.d.x"]),
        ("{a.**,b}", ["a", "a.x.y", "b"], ["b.x"]),
        ("a b.*", ["a", "b.c"], ["b", "a.b"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], fits_not: list[str]) -> None:
    script = (
        "import sys, re; from standin.router import glob\n"
        "for tag in sys.argv[2:]:\n"
        "    print(any(re.fullmatch(glob(p), tag) for p in sys.argv[1].split()))"
    )
    shown = subprocess.run(
        [sys.executable, "-B", "-c", script, pattern, *fits, *fits_not],
        cwd=PROGRAM, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert shown == ["True"] * len(fits) + ["False"] * len(fits_not)


UNKNOWN = "the Fluentd stand-in does not know"
#: A configuration, its lines parted by "|", and what it is refused with.
REFUSED = {
    "<source>|@type http|</source>": f':2: {UNKNOWN} "@type http" in <source>',
    "<match a>|@type splunk|</match>": f':2: {UNKNOWN} "@type splunk" in <match a>',
    "<filter a>|@type grep|</filter>": f':2: {UNKNOWN} "@type grep" in <filter a>',
    "<match a>|@type null||compress gzip|</match>": f':4: {UNKNOWN} the parameter "compress"',
    "<match a>|@type file|path x|<buffer>|retry_wait 1|</buffer>|</match>": (
        f':5: {UNKNOWN} the parameter "retry_wait" in <buffer>'
    ),
    "<match a>|@type file|path x|<buffer time,host>|</buffer>|</match>": (
        f':4: {UNKNOWN} the chunk key "host" in <buffer time,host>'
    ),
    "|<label @A>|</label>": f":2: {UNKNOWN} <label @A>",
    "@include more.conf": f':1: {UNKNOWN} "@include"',
    '<match a>|@type "#{`id`}"|</match>': (
        ":2: the Fluentd stand-in knows no Ruby but hostname and ENV['NAME']: #{`id`}"
    ),
    "<match a>|@type file|</match>": ":1: 'path' parameter is required, in <match a>",
    "<match a>|@type file|path fluent.conf/x|</match>": ":1: out_file: `fluent.conf/x.",
    "<match a>|@type file|path x.${tag}|</match>": (
        ":1: Parameter 'path: x.${tag}' has tag placeholders, but chunk key 'tag' is not configured"
    ),
    "<match a>|@type null|</filter>": ":3: unmatched end tag </filter>",
    "<match a>|@type null": ":1: <match a> has no end tag",
    "<match a>|@type file|path x|append perhaps|</match>": ':4: "append" cannot be "perhaps"',
    "<match a>|@type file|path x|<buffer>|flush_mode lazy|flush_interval 1|</buffer>|</match>": (
        ":4: 'flush_interval' can't be specified when 'flush_mode' is not 'interval' "
        "explicitly: 'lazy'"
    ),
}


@pytest.mark.parametrize(("conf", "message"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_it_does_not_know_ends_it(collector: Collector, conf: str, message: str) -> None:
    (collector.folder / "fluent.conf").write_text(conf.replace("|", "\n"))
    assert collector.run("fluent.conf").wait(60) == 1
    assert f"config error fluent.conf{message}" in collector.log


def test_values(tmp_path: Path) -> None:
    """Comments, quotes and escapes, as v1_parser.rb reads them."""
    (tmp_path / "a.conf").write_text(
        "<a>\n"
        "  bare one two   # a comment\n"
        "  hash a#b #c\n"
        '  double "x # y\\t\\"z\\""  # c\n'
        "  single 'x #{y} \\'z\\''\n"
        '  list ["a", "b"]\n'
        "  nothing\n"
        "</a>\n"
    )
    script = (
        "from standin.config import read; from pathlib import Path; import json\n"
        "section = read(Path('{}').read_text(), 'a.conf').sections[0]\n"
        "print(json.dumps({{k: v.value for k, v in section.params.items()}}))"
    ).format(tmp_path / "a.conf")
    shown = subprocess.run(
        [sys.executable, "-B", "-c", script], cwd=PROGRAM, capture_output=True, check=True
    ).stdout
    assert msgspec.json.decode(shown) == {
        "bare": "one two",
        "hash": "a#b",
        "double": 'x # y\t"z"',
        "single": "x #{y} 'z'",
        "list": '["a","b"]',
        "nothing": "",
    }
