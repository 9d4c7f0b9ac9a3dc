# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A Hub on the loopback interface, for the real `huggingface_hub` client with `HF_ENDPOINT`.

It keeps repositories in memory and answers what publishing and loading ask: who one is, repositories and branches, the
listing of a revision, checks of a card, upload of large files (LFS) and commits, download with ranges and conditions on
the revision. Not there: Xet storage (set `HF_HUB_DISABLE_XET=1`), redirects to a content network, any web page.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml


TOKEN = "hf_" + "t" * 34
READ_TOKEN = "hf_" + "r" * 34
USER = "someone"
PIPELINE_TAGS = ("feature-extraction", "video-classification")  # of those that the Hub knows


def git_blob_id(content: bytes) -> str:
    """Id of a file's content in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True)
class StoredFile:
    """Content of one file at one revision; `sha256` is set where it is stored as a large file."""

    content: bytes
    sha256: str | None = None

    @property
    def etag(self) -> str:
        return self.sha256 or git_blob_id(self.content)

    def described(self, name_key: str, id_key: str) -> dict[str, Any]:
        """What listings say of it, as `paths-info`, `tree` and `siblings` have it, but for its name."""
        about: dict[str, Any] = {"size": len(self.content), id_key: git_blob_id(self.content)}
        if self.sha256:
            about["lfs"] = {"size": len(self.content), "pointerSize": 130, name_key: self.sha256}
        return about


@dataclass
class Repository:
    """Branches (and pull requests) by name, and the files of every commit."""

    private: bool = False
    heads: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, StoredFile]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, StoredFile], message: str) -> str:
        seed = f"{branch} {len(self.commits)} {sorted((path, file.etag) for path, file in files.items())}"
        sha = hashlib.sha1(seed.encode()).hexdigest()
        self.commits[sha] = files
        self.heads[branch] = sha
        self.messages.append(message)
        return sha

    def files(self, branch: str = "main") -> dict[str, StoredFile]:
        """The files at the head of a branch."""
        return self.commits[self.heads[branch]]


class HubError(Exception):
    """An answer that is no success: status, the Hub's code for it, and a text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


class HubServer:
    """The server; use it as a context manager. What it holds may be read and changed while it runs.

    Attributes:
        repositories: By `namespace/name`.
        large_files: Contents that were uploaded whole, by their SHA-256.
        log: `"METHOD /path"` of every request.
        hold_uploads_from: Number of the large file (from 0, in order of arrival) from which on an upload is read by
            half and then left without an answer, so that the client can be killed; `None`: none.
        holding: Set as soon as an upload is held.
        before_commit: Called once before the next commit is looked at, as if someone else were quicker.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large_files: dict[str, bytes] = {}
        self.log: list[str] = []
        self.hold_uploads_from: int | None = None
        self.holding = threading.Event()
        self.before_commit: Callable[[], None] | None = None
        self.lock = threading.Lock()
        self._uploads = 0
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, repo_id: str, files: dict[str, bytes] | None = None, private: bool = False) -> Repository:
        """Make a repository; weights among its `files` are stored as large files."""
        repository = self.repositories[repo_id] = Repository(private=private)
        stored = {".gitattributes": StoredFile(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n")}
        for path, content in (files or {}).items():
            is_large = path.endswith(".safetensors")
            stored[path] = StoredFile(content, hashlib.sha256(content).hexdigest() if is_large else None)
        repository.commit("main", stored, "initial commit")
        return repository

    def uploads_of(self, log_from: int = 0) -> list[str]:
        """SHA-256 of the large files whose upload began, from that place of the log on."""
        return [line.rsplit("/", 1)[1] for line in self.log[log_from:] if line.startswith("PUT /upload/")]

    # what requests ask for: each gets the request and the parts of its path, and returns what goes out as JSON

    def whoami(self, request: "_Handler") -> dict[str, Any]:
        role = "write" if request.token == TOKEN else "read"
        return {
            "type": "user",
            "name": USER,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": {"role": role}},
        }

    def create(self, request: "_Handler") -> dict[str, Any]:
        asked = request.json()
        repo_id = f"{asked['organization'] or USER}/{asked['name']}"
        if not repo_id.startswith(f"{USER}/"):
            raise HubError(
                403, "", f"You don't have the rights to create a model under the namespace {asked['organization']!r}."
            )
        if repo_id in self.repositories:
            raise HubError(409, "", f"You already created this model repo: {repo_id}")
        self.add(repo_id, private=asked.get("visibility") == "private")
        return {"url": f"{self.endpoint}/{repo_id}", "name": repo_id}

    def info(self, request: "_Handler", repo_id: str, revision: str = "main") -> dict[str, Any]:
        repository, sha = self._at(request, repo_id, revision)
        siblings = [
            {"rfilename": path, **(file.described("sha256", "blobId") if "blobs" in request.query else {})}
            for path, file in repository.commits[sha].items()
        ]
        return {"id": repo_id, "sha": sha, "private": repository.private, "siblings": siblings, "tags": []}

    def tree(self, request: "_Handler", repo_id: str, revision: str, folder: str = "") -> list[dict[str, Any]]:
        repository, sha = self._at(request, repo_id, revision)
        inside = {p: f for p, f in repository.commits[sha].items() if not folder or p.startswith(folder + "/")}
        if folder and not inside:
            raise HubError(404, "EntryNotFound", f"{folder} does not exist on {revision!r}")
        return [{"type": "file", "path": path, **file.described("oid", "oid")} for path, file in inside.items()]

    def paths_info(self, request: "_Handler", repo_id: str, revision: str) -> list[dict[str, Any]]:
        paths = request.json()["paths"]
        return [entry for entry in self.tree(request, repo_id, revision) if entry["path"] in paths]

    def validate_card(self, request: "_Handler") -> dict[str, Any]:
        match = re.match(r"\s*---\s*\n(.*?)\n---\s*(\n|$)", request.json()["content"], re.DOTALL)
        if match is None:
            return {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
        try:
            metadata = yaml.safe_load(match[1])
        except yaml.YAMLError as error:
            raise HubError(400, "", f"YAML: {error}") from error
        if not isinstance(metadata, dict):
            raise HubError(400, "", "the metadata must be an object")
        if metadata.get("pipeline_tag", PIPELINE_TAGS[0]) not in PIPELINE_TAGS:
            raise HubError(400, "", f"unknown pipeline_tag: {metadata['pipeline_tag']}")
        return {"errors": [], "warnings": []}

    def branch(self, request: "_Handler", repo_id: str, name: str) -> dict[str, Any]:
        repository, sha = self._at(request, repo_id, request.json().get("startingPoint", "main"))
        if name in repository.heads:
            raise HubError(409, "", f"Reference already exists: {name}")
        repository.heads[name] = sha
        return {}

    def preupload(self, request: "_Handler", repo_id: str, revision: str) -> dict[str, Any]:
        repository, sha = self._at(request, repo_id, revision)
        answer = []
        for asked in request.json()["files"]:
            present = repository.commits[sha].get(asked["path"])
            mode = "lfs" if asked["path"].endswith((".safetensors", ".bin", ".png")) else "regular"
            about = {"path": asked["path"], "uploadMode": mode, "shouldIgnore": False}
            answer.append(about if present is None else {**about, "oid": present.etag})
        return {"files": answer}

    def lfs_batch(self, request: "_Handler", repo_id: str) -> dict[str, Any]:
        objects = []
        for asked in request.json()["objects"]:
            if asked["oid"] not in self.large_files:
                upload = {"href": f"{self.endpoint}/upload/{asked['oid']}"}
                verify = {"href": f"{self.endpoint}/{repo_id}.git/info/lfs/verify", "header": {}}
                asked = {**asked, "actions": {"upload": upload, "verify": verify}}
            objects.append(asked)
        return {"transfer": "basic", "objects": objects}

    def upload(self, request: "_Handler", sha256: str) -> dict[str, Any]:
        with self.lock:
            number, self._uploads = self._uploads, self._uploads + 1
        if self.hold_uploads_from is not None and number >= self.hold_uploads_from:
            request.rfile.read(int(request.headers["Content-Length"] or 2) // 2)
            self.holding.set()
            self._closing.wait(120)
            raise HubError(500, "", "the upload was held")
        content = request.body()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise HubError(422, "", "the content is not what was announced")
        self.large_files[sha256] = content
        return {}

    def verify(self, request: "_Handler", repo_id: str) -> dict[str, Any]:
        asked = request.json()
        if len(self.large_files.get(asked["oid"], b"")) != asked["size"]:
            raise HubError(422, "", "the file is not there in full")
        return {}

    def commit(self, request: "_Handler", repo_id: str, branch: str) -> dict[str, Any]:
        if self.before_commit is not None:
            action, self.before_commit = self.before_commit, None
            action()
        repository, sha = self._at(request, repo_id, branch)
        header, *changes = (json.loads(line) for line in request.body().splitlines())
        if header["value"].get("parentCommit", sha) != sha:
            raise HubError(412, "", "A commit has happened since. Please refresh and try again.")
        files = dict(repository.commits[sha])
        for change in changes:
            self._apply(change["key"], change["value"], files)
        is_proposal = request.query.get("create_pr") == ["1"]
        target = f"refs/pr/{len(repository.heads)}" if is_proposal else branch
        new = repository.commit(target, files, header["value"]["summary"])
        answer = {"success": True, "commitOid": new, "commitUrl": f"{self.endpoint}/{repo_id}/commit/{new}"}
        return answer | ({"pullRequestUrl": f"{self.endpoint}/{repo_id}/discussions/1"} if is_proposal else {})

    def _apply(self, key: str, value: dict[str, Any], files: dict[str, StoredFile]) -> None:
        if key == "file":
            files[value["path"]] = StoredFile(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if value["oid"] not in self.large_files:
                raise HubError(400, "", f"{value['path']} was not uploaded")
            files[value["path"]] = StoredFile(self.large_files[value["oid"]], value["oid"])
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {value['path']}")
        else:
            raise HubError(400, "", f"unknown operation {key}")

    def _at(self, request: "_Handler", repo_id: str, revision: str) -> tuple[Repository, str]:
        """A repository that the one who asks may see, and the commit that a revision means."""
        repository = self.repositories.get(repo_id)
        if repository is None or (repository.private and request.token is None):
            status = 401 if request.token is None else 404  # as the Hub does
            raise HubError(status, "RepoNotFound", "Repository not found")
        sha = repository.heads.get(revision, revision)
        if sha not in repository.commits:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repository, sha


NAME = r"([^/]+/[^/]+?)"
ROUTES: tuple[tuple[str, str, str, bool], ...] = (  # method, path, method of the server, is it for writers only
    ("GET", r"/api/whoami-v2", "whoami", False),
    ("POST", r"/api/repos/create", "create", True),
    ("POST", r"/api/validate-yaml", "validate_card", False),
    ("GET", rf"/api/models/{NAME}", "info", False),
    ("GET", rf"/api/models/{NAME}/revision/([^/]+)", "info", False),
    ("GET", rf"/api/models/{NAME}/tree/([^/]+)(?:/(.+))?", "tree", False),
    ("POST", rf"/api/models/{NAME}/paths-info/([^/]+)", "paths_info", False),
    ("POST", rf"/api/models/{NAME}/branch/([^/]+)", "branch", True),
    ("POST", rf"/api/models/{NAME}/preupload/([^/]+)", "preupload", True),
    ("POST", rf"/api/models/{NAME}/commit/([^/]+)", "commit", True),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", "lfs_batch", True),
    ("POST", rf"/{NAME}\.git/info/lfs/verify", "verify", True),
    ("PUT", r"/upload/([0-9a-f]+)", "upload", False),  # as with signed addresses, whoever knows it may write
)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, finds who answers it, and writes the answer."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:  # not to standard error
        pass

    @property
    def token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def body(self) -> bytes:
        """What came with the request, whole or in chunks; read once."""
        if not hasattr(self, "_body"):
            self._body = (
                self._read_chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self._read_whole()
            )
        return self._body

    def json(self) -> dict[str, Any]:
        return json.loads(self.body() or b"{}")

    def _read_whole(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self) -> None:
        self.__dict__.pop("_body", None)  # one handler serves all requests of a connection
        split = urlsplit(self.path)
        self.query = parse_qs(split.query)
        self.hub.log.append(f"{self.command} {unquote(split.path)}")
        try:
            if self.token not in (None, TOKEN, READ_TOKEN):
                raise HubError(401, "", "Invalid credentials in Authorization header")
            resolved = re.fullmatch(rf"/{NAME}/resolve/([^/]+)/(.+)", split.path)
            if resolved and self.command in ("GET", "HEAD"):
                self._send_file(*map(unquote, resolved.groups()))
            else:
                self._send_json(200, self._call(split.path))
        except HubError as error:
            self.body()  # or the rest of it would be taken for the next request
            self._send_json(error.status, {"error": error.text, "errors": [{"message": error.text}]}, error)
        except (BrokenPipeError, ConnectionResetError):  # the client has gone
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def _call(self, path: str) -> Any:
        for method, pattern, name, writes in ROUTES:
            match = re.fullmatch(pattern, path)
            if method == self.command and match:
                if self.token is None and (writes or name == "whoami"):
                    raise HubError(401, "", "Invalid username or password.")
                if self.token == READ_TOKEN and writes:
                    raise HubError(403, "", "You must use a write token")
                return getattr(self.hub, name)(self, *(unquote(part) for part in match.groups() if part is not None))
        raise HubError(404, "", f"no answer to {self.command} {path}")

    def _send_file(self, repo_id: str, revision: str, path: str) -> None:
        repository, sha = self.hub._at(self, repo_id, revision)
        file = repository.commits[sha].get(path)
        if file is None:
            error = HubError(404, "EntryNotFound", f"Entry not found: {path}")
            return self._send_json(404, {"error": error.text}, error, {"X-Repo-Commit": sha})
        content, status, extra = file.content, 200, {}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if wanted:
            first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
            extra = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
            content, status = content[first : last + 1], 206
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes", **extra}
        return self._send(status, content, headers)

    def _send_json(
        self, status: int, answer: Any, error: HubError | None = None, extra: dict[str, str] | None = None
    ) -> None:
        headers = {"Content-Type": "application/json", **(extra or {})}
        if error is not None:
            headers |= {"X-Error-Message": error.text} | ({"X-Error-Code": error.code} if error.code else {})
        if self.command == "PUT":
            headers["ETag"] = '"part"'
        self._send(status, json.dumps(answer).encode(), headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
