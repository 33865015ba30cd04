"""A small Hugging Face Hub on this machine, for the unchanged clients: what they ask for when they publish, download and load.

Two hosts, as in reality: the Hub itself (127.0.0.1), and the storage of large files (localhost), which is reached by signed addresses
and must never see a token. `Hub.log` says what arrived; `Hub.cut_uploads` and `Hub.refuse_uploads` make uploads fail, and downloads serve
what `Hub.replaced` has under a file's path instead of what was uploaded.
"""

import base64
import hashlib
import json
import re
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".onnx", ".parquet")  # kept in storage; all else travels inside the commit
API = r"/api/(model|dataset|space)s/([^/]+/[^/]+)"
PAGE = r"/(datasets/|spaces/)?([^/]+/[^/]+)"
ROUTES = []


def route(methods, pattern):
    """Register a method of Handler: it takes the groups of the address and returns what is sent as JSON, or sends by itself."""
    return lambda function: ROUTES.append((methods.split(), re.compile(pattern), function)) or function


class HubError(Exception):
    """An answer other than 200: status, the code that clients branch on, words, and more for the body."""

    def __init__(self, status, code, message, **body):
        super().__init__(message)
        self.status, self.code, self.body = status, code, {"error": message, "errors": [{"message": message}], **body}


class Repo:
    """Commits are whole trees, path -> content (bytes, or the sha256 of a large file); references name commits."""

    def __init__(self, private):
        self.private, self.commits, self.refs = private, {}, {}
        self.commit("main", {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})

    def commit(self, ref, files):
        oid = self.refs[ref] = hashlib.sha1(f"{id(self)} {len(self.commits)}".encode()).hexdigest()
        self.commits[oid] = files
        return oid

    def resolve(self, revision):
        oid = self.refs.get(revision) or self.refs.get(f"refs/tags/{revision}", revision)
        if oid not in self.commits:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return oid

    def files(self, revision="main"):
        return self.commits[self.resolve(revision)]


class Hub:
    """The state behind the requests: users by token, repositories by kind and id, large files by sha256."""

    def __init__(self, users):
        self.users, self.repos, self.storage = users, {}, {}
        self.log, self.tokens_seen_by_storage = [], []  # (method, path, bytes of the body)
        self.cut_uploads, self.refuse_uploads, self.replaced = 0, False, {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.hub = self
        port = self.server.server_port
        self.endpoint, self.storage_host = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def uploaded(self):
        """Return how many bytes of files came since the last call, inside commits or to the storage."""
        sent = sum(size for method, path, size in self.log if method == "PUT" or "/commit/" in path)
        self.log.clear()
        return sent


def blob_id(content):
    """Return git's name of a small file; a large one is known by its sha256."""
    return content if isinstance(content, str) else hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One request: who asks, which route, and what is answered."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.hub, url = self.server.hub, urlsplit(self.path)
        length, token = int(self.headers.get("Content-Length", 0)), self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.command == "PUT" and self.hub.cut_uploads:
            self.hub.cut_uploads -= 1
            self.rfile.read(length // 2)
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        self.query, self.body, self.user = parse_qs(url.query), self.rfile.read(length), self.hub.users.get(token)
        self.hub.log.append((self.command, self.path, length))
        if token and self.headers["Host"].startswith("localhost"):
            self.hub.tokens_seen_by_storage.append(token)
        try:
            if token and not self.user:
                raise HubError(401, "", "Invalid credentials in Authorization header")
            self.dispatch(url.path)
        except HubError as error:
            self.send(error.status, error.body, {"X-Error-Code": error.code, "X-Error-Message": str(error)})

    log_message = staticmethod(lambda *_: None)
    do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - as the standard library calls them

    def dispatch(self, path):
        for methods, pattern, function in ROUTES:
            found = pattern.fullmatch(path)
            if found and self.command in methods:
                answer = function(self, *(unquote(group) if group else group for group in found.groups()))
                return self.send(200, answer, {}) if answer is not None else None
        raise HubError(404, "", f"no such page: {self.command} {path}")

    def send(self, status, content, headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def repo(self, kind, repo_id, write=False):
        repo, owned = self.hub.repos.get((kind, repo_id)), self.user == repo_id.split("/")[0]
        if repo is None or (repo.private and not owned):
            raise HubError(404 if self.user else 401, "RepoNotFound", "Repository not found")
        if write and not owned:
            raise HubError(403 if self.user else 401, "", "You don't have the rights to create a commit")
        return repo

    @route("POST", "/api/repos/create")
    def create(self):
        wanted = json.loads(self.body)
        if wanted["organization"] != self.user:
            raise HubError(403 if self.user else 401, "", "You don't have the rights to create a repository under this namespace")
        kind, repo_id = wanted["type"], f"{wanted['organization']}/{wanted['name']}"
        url = f"{self.hub.endpoint}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
        if (kind, repo_id) in self.hub.repos:
            raise HubError(409, "", "You already created this repo", url=url)
        self.hub.repos[kind, repo_id] = Repo(private=wanted.get("visibility") == "private")
        return {"url": url}

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self):
        if not re.match(r"---\n(.+\n)*license: [a-z][\w.-]+\n(.+\n)*---\n", json.loads(self.body)["content"]):
            raise HubError(400, "", '"license" must be a string')
        return {"errors": [], "warnings": []}

    @route("POST", f"{API}/preupload/([^/]+)")
    def preupload(self, kind, repo_id, revision):
        there = self.repo(kind, repo_id, write=True).files(revision)
        modes = {file["path"]: "lfs" if file["path"].endswith(LARGE) else "regular" for file in json.loads(self.body)["files"]}
        known = {path: blob_id(there[path]) if path in there else None for path in modes}
        return {"files": [{"path": p, "uploadMode": mode, "shouldIgnore": False, "oid": known[p]} for p, mode in modes.items()]}

    @route("POST", rf"{PAGE}\.git/info/lfs/objects/batch")
    def lfs_batch(self, prefix, repo_id):
        self.repo(prefix[:-2] if prefix else "model", repo_id, write=True)
        verify = {"href": f"{self.hub.endpoint}/{prefix or ''}{repo_id}.git/info/lfs/verify"}
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            upload = {"href": f"{self.hub.storage_host}/storage/{wanted['oid']}?signature=upload"}
            objects.append(wanted | ({} if wanted["oid"] in self.hub.storage else {"actions": {"upload": upload, "verify": verify}}))
        return {"transfer": "basic", "objects": objects}

    @route("POST", rf"{PAGE}\.git/info/lfs/verify")
    def lfs_verify(self, prefix, repo_id):
        if json.loads(self.body)["oid"] not in self.hub.storage:
            raise HubError(404, "", "the object is not there")
        return {}

    @route("PUT", "/storage/([0-9a-f]{64})")
    def storage_put(self, oid):
        if self.hub.refuse_uploads or "signature" not in self.query or hashlib.sha256(self.body).hexdigest() != oid:
            raise HubError(400, "", "the signature has expired, or is of other content")
        self.hub.storage[oid] = self.body
        return {}

    @route("GET", "/storage/([0-9a-f]{64})")
    def storage_get(self, oid):
        return self.hub.storage[oid]

    @route("POST", f"{API}/commit/([^/]+)")
    def commit(self, kind, repo_id, revision):
        repo = self.repo(kind, repo_id, write=True)
        files, number = dict(repo.files(revision)), sum(ref.startswith("refs/pr/") for ref in repo.refs) + 1
        for key, value in ((line["key"], line["value"]) for line in map(json.loads, self.body.splitlines())):
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                if value["oid"] not in self.hub.storage:
                    raise HubError(400, "", f"LFS pointer pointed to a file that does not exist: {value['path']}")
                files[value["path"]] = value["oid"]
            elif key == "deletedFile":
                del files[value["path"]]
        oid = repo.commit(f"refs/pr/{number}" if "create_pr" in self.query else revision, files)
        page = f"{self.hub.endpoint}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
        return {"commitUrl": f"{page}/commit/{oid}", "commitOid": oid, "pullRequestUrl": f"{page}/discussions/{number}"}

    @route("GET", f"{API}(?:/revision/([^/]+))?")
    def info(self, kind, repo_id, revision):
        repo = self.repo(kind, repo_id)
        return {"id": repo_id, "sha": repo.resolve(revision or "main"), "private": repo.private, "tags": []}

    @route("GET", f"{API}/auth-check/write")
    def may_write(self, kind, repo_id):
        self.repo(kind, repo_id, write=True)
        return {}

    @route("GET", f"{API}/refs")
    def refs(self, kind, repo_id):
        found = {ref: oid for ref, oid in self.repo(kind, repo_id).refs.items() if ref.startswith("refs/tags/")}
        return {"branches": [], "converts": [], "tags": [{"name": r[10:], "ref": r, "targetCommit": oid} for r, oid in found.items()]}

    @route("POST", f"{API}/(tag|branch)/([^/]+)")
    def name_commit(self, kind, repo_id, what, name):
        repo = self.repo(kind, repo_id, write=True)
        ref, start = (f"refs/tags/{json.loads(self.body)['tag']}", name) if what == "tag" else (name, "main")
        if ref in repo.refs:
            raise HubError(409, "", f"Reference already exists: {ref}")
        repo.refs[ref] = repo.resolve(start)
        return {}

    @route("GET", f"{API}/tree/([^/]+)(?:/(.+))?")
    def tree(self, kind, repo_id, revision, below):
        start, deep = f"{below}/" if below else "", "true" in self.query["recursive"]
        inside = {path: content for path, content in self.repo(kind, repo_id).files(revision).items() if path.startswith(start)}
        if not inside:
            raise HubError(404, "EntryNotFound", f"{below} does not exist")
        shown = [(path, content) for path, content in inside.items() if deep or "/" not in path.removeprefix(start)]
        folders = {path.rpartition("/")[0] for path in inside if "/" in path.removeprefix(start)}
        entries = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
        for path, content in shown:
            size = len(self.hub.storage[content] if isinstance(content, str) else content)
            lfs = {"lfs": {"oid": content, "size": size, "pointerSize": 130}} if isinstance(content, str) else {}
            entries.append({"type": "file", "path": path, "oid": blob_id(content), "size": size, **lfs})
        return entries

    @route("GET HEAD", rf"{PAGE}/resolve/([^/]+)/(.+)")
    def download(self, prefix, repo_id, revision, path):
        repo = self.repo(prefix[:-2] if prefix else "model", repo_id)
        content, headers = self.hub.replaced.get(path, repo.files(revision).get(path)), {"X-Repo-Commit": repo.resolve(revision)}
        if content is None:
            raise HubError(404, "EntryNotFound", "Entry not found")
        if isinstance(content, bytes):
            return self.send(200, content, headers | {"ETag": f'"{blob_id(content)}"'})
        linked = {"X-Linked-ETag": f'"{content}"', "X-Linked-Size": len(self.hub.storage[content])}
        return self.send(302, b"", headers | linked | {"Location": f"{self.hub.storage_host}/storage/{content}?signature=download"})
