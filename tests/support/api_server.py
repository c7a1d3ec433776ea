"""A stand-in of the Kubernetes API server over loopback HTTP: what `cluster-addon.md` saw the real one (1.36.2) do.

Server-side apply with ownership of fields, generations, the DaemonSet's template counter, structural defaults, 409 with
causes, 500 for an unknown field, label and field selectors, pages, dry runs, the status subresource, owner and namespace
deletion, a definition's rules in CEL, the pod proxy, and on demand 410 for a forgotten page, 429 and 502.
`cluster_controllers.Controllers` plays DaemonSet controller, scheduler and kubelet on top.

Not there: watch, admission policies, RBAC beyond `denied`.
"""

import copy
import itertools
import json
import re
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cel_rules
import field_ownership as ssa
import jsonschema
import yaml

BUILTIN = {
    ("v1", "namespaces"): ("Namespace", False),
    ("v1", "nodes"): ("Node", False),
    ("v1", "pods"): ("Pod", True),
    ("v1", "events"): ("Event", True),
    ("v1", "services"): ("Service", True),
    ("v1", "secrets"): ("Secret", True),
    ("v1", "serviceaccounts"): ("ServiceAccount", True),
    ("v1", "configmaps"): ("ConfigMap", True),
    ("v1", "persistentvolumeclaims"): ("PersistentVolumeClaim", True),
    ("apps/v1", "daemonsets"): ("DaemonSet", True),
    ("apps/v1", "deployments"): ("Deployment", True),
    ("apps/v1", "statefulsets"): ("StatefulSet", True),
    ("batch/v1", "jobs"): ("Job", True),
    ("batch/v1", "cronjobs"): ("CronJob", True),
    ("networking.k8s.io/v1", "networkpolicies"): ("NetworkPolicy", True),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions"): ("CustomResourceDefinition", False),
}
PATH = re.compile(
    r"^/(?:api|apis)/(?P<version>v1|[^/]+/v[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/.))?"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+)(?P<rest>/.*)?)?$"
)
TEMPLATE_COUNTER = "deprecated.daemonset.template.generation"


class RefusalError(Exception):
    """An answer that is no success."""

    def __init__(self, code, reason, message, causes=(), *, next_page="", headers=()):
        super().__init__(message)
        self.code, self.reason, self.message, self.causes = code, reason, message, causes
        self.next_page, self.headers = next_page, dict(headers)

    def body(self):
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.next_page} if self.next_page else {},
            "status": "Failure",
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "details": {"causes": [dict(cause) for cause in self.causes]},
        }


class Stored:
    """One object and who owns its fields."""

    def __init__(self, item, owners):
        self.item, self.owners = item, owners


class APIServer:
    """Objects by (api version, plural, namespace, name), and the rules of writing them."""

    def __init__(self, version="v1.36.2"):
        self.version = version
        self.objects = {}
        self.denied = set()
        # How many requests from now fail while a load balancer has no API server behind it, how many are refused by
        # priority and fairness, and how many pages are of a forgotten list.
        self.away = 0
        self.busy = 0
        self.forgotten_pages = 0
        self.requests = []
        self.pod_answers = {}
        self.controllers = []
        self._versions = itertools.count(1000)
        self.lock = threading.RLock()
        self.create("v1", "namespaces", {"metadata": {"name": "default"}})
        self.create("v1", "namespaces", {"metadata": {"name": "kube-system"}})

    # --- for tests: a second pair of hands in the cluster ---------------------------------------------------------

    def create(self, version, plural, item, *, manager="kubectl-create"):
        """Stores an object as somebody else would have made it."""
        kind, _ = self.kind_of(version, plural)
        item = {"apiVersion": version, "kind": kind, **copy.deepcopy(item)}
        with self.lock:
            owners = ssa.update({}, [], item, self.schema(version, plural), manager)
            self._write(self.key(version, plural, item), None, Stored(item, owners))
            self.settle()

    def edit(self, version, plural, namespace, name, change, *, manager="kubectl-edit", subresource=""):
        """Changes an object in place, as `kubectl edit` or a controller does."""
        with self.lock:
            stored = self.objects[version, plural, namespace, name]
            item = copy.deepcopy(stored.item)
            change(item)
            schema = self.schema(version, plural)
            owners = ssa.update(stored.item, stored.owners, item, schema, manager, subresource=subresource)
            self._write((version, plural, namespace, name), stored, Stored(item, owners), subresource=subresource)
            self.settle()

    def get(self, version, plural, namespace, name):
        stored = self.objects.get((version, plural, namespace, name))
        return None if stored is None else self.view(version, stored)

    def all(self, version, plural):
        return [s.item for k, s in sorted(self.objects.items()) if k[:2] == (version, plural)]

    def settle(self):
        for controller in self.controllers:
            controller.settle()

    # --- kinds and schemas ----------------------------------------------------------------------------------------

    def definition(self, version, plural):
        group = version.rpartition("/")[0]
        stored = self.objects.get(("apiextensions.k8s.io/v1", "customresourcedefinitions", "", f"{plural}.{group}"))
        return stored and stored.item

    def kind_of(self, version, plural):
        if (version, plural) in BUILTIN:
            return BUILTIN[version, plural]
        found = self.definition(version, plural)
        if found is None:
            raise RefusalError(404, "NotFound", "the server could not find the requested resource")
        return found["spec"]["names"]["kind"], found["spec"]["scope"] == "Namespaced"

    def schema(self, version, plural):
        if (version, plural) in BUILTIN:
            return ssa.builtin_schema(version, BUILTIN[version, plural][0])
        found = self.definition(version, plural)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        metadata = {"$ref": "_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
        return found | {"properties": found["properties"] | {"metadata": metadata}}

    def key(self, version, plural, item):
        _, namespaced = self.kind_of(version, plural)
        return version, plural, item["metadata"].get("namespace", "") if namespaced else "", item["metadata"]["name"]

    # --- writing --------------------------------------------------------------------------------------------------

    def apply(self, key, wanted, manager, *, force, dry_run, subresource):
        version, plural, namespace, name = key
        kind, namespaced = self.kind_of(version, plural)
        if namespaced and ("v1", "namespaces", "", namespace) not in self.objects:
            raise RefusalError(404, "NotFound", f'namespaces "{namespace}" not found')
        stored = self.objects.get(key)
        schema = self.schema(version, plural)
        live = stored.item if stored else {"apiVersion": version, "kind": kind, "metadata": wanted["metadata"]}
        wanted = self._one_half(wanted, subresource)
        try:
            item, owners = ssa.apply(
                live, stored.owners if stored else [], wanted, schema, manager, force=force, subresource=subresource
            )
        except ssa.UnknownFieldError as error:
            raise RefusalError(
                500,
                "",
                f"failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {error}: field not declared in schema",
            ) from None
        except ssa.ConflictError as error:
            raise self._conflict(error, version) from None
        fresh = Stored(item, owners)
        self._default(key, fresh.item, schema)
        self._validate(key, fresh.item, stored and stored.item, schema)
        return self._write(key, stored, fresh, dry_run=dry_run, subresource=subresource), stored is None

    def _one_half(self, wanted, subresource):
        """The main resource ignores status, and the other way round."""
        if subresource:
            return {k: v for k, v in wanted.items() if k in ("apiVersion", "kind", "metadata", subresource)}
        return {k: v for k, v in wanted.items() if k != "status"}

    def _conflict(self, error, version):
        causes, by_manager = [], {}
        for field, other in error.causes:
            text = f'conflict with "{other.manager}" using {version}'
            causes.append({"reason": "FieldManagerConflict", "message": text, "field": field})
            by_manager.setdefault(text, []).append(field)
        count = len(causes)
        details = "; ".join(f"{text}: {', '.join(fields)}" for text, fields in by_manager.items())
        return RefusalError(
            409, "Conflict", f"Apply failed with {count} conflict{'s' if count > 1 else ''}: {details}", causes
        )

    def _default(self, key, item, schema):
        if key[:2] not in BUILTIN:
            _structural_defaults(item, schema)
        if key[1] == "daemonsets":
            item["spec"].setdefault("revisionHistoryLimit", 10)
            pod = item["spec"]["template"]["spec"]
            pod.setdefault("restartPolicy", "Always")
            for container in pod["containers"]:
                container.setdefault("terminationMessagePath", "/dev/termination-log")

    def _validate(self, key, item, before, schema):
        if key[:2] in BUILTIN:
            return
        kind = item["kind"]
        problems = [
            f"{'.'.join(map(str, error.absolute_path))}: Invalid value: {json.dumps(error.instance)}: {error.message}"
            for error in jsonschema.Draft202012Validator(schema["properties"]["spec"]).iter_errors(item["spec"])
        ]
        problems = [f"spec.{problem}" for problem in problems] or list(cel_rules.broken(schema, item, before))
        if problems:
            text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            raise RefusalError(422, "Invalid", f'{kind}.confcom.io "{item["metadata"]["name"]}" is invalid: {text}')

    def _write(self, key, old, new, *, dry_run=False, subresource=""):
        """Stores what changed: nothing at all where nothing did."""
        before = old.item if old else None
        metadata = new.item["metadata"]
        if old is None:
            metadata.setdefault("uid", str(uuid.uuid5(uuid.NAMESPACE_URL, repr(key) + str(next(self._versions)))))
            metadata.setdefault("creationTimestamp", "2026-11-25T10:00:00Z")
            metadata["generation"] = 1
            if key[1] == "daemonsets":
                metadata.setdefault("annotations", {}).setdefault(TEMPLATE_COUNTER, "1")
            if key[1] == "customresourcedefinitions":
                new.item["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        else:
            same_fields = ssa.managed_fields(old.owners, key[0]) == ssa.managed_fields(new.owners, key[0])
            if before == new.item and same_fields:
                return self.view(key[0], old)
            if not subresource and before.get("spec") != new.item.get("spec"):
                metadata["generation"] = before["metadata"]["generation"] + 1
                if key[1] == "daemonsets" and before["spec"]["template"] != new.item["spec"]["template"]:
                    counter = int(before["metadata"]["annotations"][TEMPLATE_COUNTER]) + 1
                    metadata["annotations"][TEMPLATE_COUNTER] = str(counter)
        if dry_run:
            return self.view(key[0], new)
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[key] = new
        return self.view(key[0], new)

    def view(self, version, stored):
        item = copy.deepcopy(stored.item)
        item["metadata"]["managedFields"] = ssa.managed_fields(stored.owners, version)
        return item

    def delete(self, key):
        stored = self.objects.pop(key, None)
        if stored is None:
            raise RefusalError(404, "NotFound", f'{key[1]} "{key[3]}" not found')
        uid = stored.item["metadata"]["uid"]
        for other, child in list(self.objects.items()):
            owners = child.item["metadata"].get("ownerReferences", ())
            inside = key[1] == "namespaces" and other[2] == key[3]
            instance = key[1] == "customresourcedefinitions" and f"{other[1]}.{other[0].rpartition('/')[0]}" == key[3]
            if (any(o["uid"] == uid for o in owners) or inside or instance) and other in self.objects:
                self.delete(other)

    # --- reading --------------------------------------------------------------------------------------------------

    def list(self, version, plural, namespace, query):
        kind, _ = self.kind_of(version, plural)
        found = [
            self.view(version, stored)
            for key, stored in sorted(self.objects.items())
            if key[:2] == (version, plural) and (not namespace or key[2] == namespace)
            if _labels_match(stored.item, query.get("labelSelector", ""))
            and _fields_match(stored.item, query.get("fieldSelector", ""))
        ]
        for item in found:
            # As in real lists.
            del item["apiVersion"], item["kind"]
        if "continue" in query and self.forgotten_pages:
            self.forgotten_pages -= 1
            raise RefusalError(
                410,
                "Expired",
                "The provided continue parameter is too old to display a consistent list result.",
                next_page=query["continue"],
            )
        start, limit = int(query.get("continue", "0")), int(query.get("limit", "0")) or len(found) or 1
        metadata = {"resourceVersion": str(next(self._versions))}
        if start + limit < len(found):
            metadata["continue"] = str(start + limit)
        return {
            "kind": f"{kind}List",
            "apiVersion": version,
            "metadata": metadata,
            "items": found[start : start + limit],
        }

    # --- HTTP -----------------------------------------------------------------------------------------------------

    def answer(self, method, path, query, body, content_type):
        """Status code and body (an object, or bytes from a pod)."""
        if self.away:
            self.away -= 1
            raise RefusalError(502, "", "no server is available")
        if self.busy:
            self.busy -= 1
            raise RefusalError(
                429, "TooManyRequests", "too many requests, please try again later", headers={"Retry-After": "1"}
            )
        if path == "/version":
            return 200, {"gitVersion": self.version}
        match = PATH.match(path)
        if match is None:
            raise RefusalError(404, "NotFound", "the server could not find the requested resource")
        version, plural = match["version"], match["plural"]
        namespace, name = match["namespace"] or "", match["name"] or ""
        verb = {"GET": "get" if name else "list", "PATCH": "patch", "DELETE": "delete"}.get(method, method)
        resource = f"{plural}/{match['sub']}" if match["sub"] else plural
        if (verb, resource) in self.denied or ("*", resource) in self.denied:
            raise RefusalError(
                403, "Forbidden", f'{plural} "{name}" is forbidden: User "tester" cannot {verb} resource "{resource}"'
            )
        self.kind_of(version, plural)
        if match["sub"] == "proxy":
            return self._proxy(namespace, name, match["rest"] or "/")
        if method == "GET" and not name:
            return 200, self.list(version, plural, namespace, query)
        key = (version, plural, namespace, name)
        if method == "GET":
            if key not in self.objects:
                raise RefusalError(404, "NotFound", f'{plural} "{name}" not found')
            return 200, self.view(version, self.objects[key])
        if method == "DELETE":
            self.delete(key)
            self.settle()
            return 200, {"kind": "Status", "status": "Success"}
        if method == "PATCH" and content_type == "application/apply-patch+yaml":
            item, created = self.apply(
                key,
                yaml.safe_load(body),
                query["fieldManager"],
                force=query.get("force") == "true",
                dry_run=query.get("dryRun") == "All",
                subresource=match["sub"] or "",
            )
            self.settle()
            return 201 if created else 200, item
        raise RefusalError(415, "UnsupportedMediaType", f"{method} with {content_type} is not played here")

    def _proxy(self, namespace, pod_and_port, path):
        pod, _, port = pod_and_port.partition(":")
        if ("v1", "pods", namespace, pod) not in self.objects:
            raise RefusalError(404, "NotFound", f'pods "{pod}" not found')
        found = self.pod_answers.get((pod, int(port), path))
        if found is None:
            raise RefusalError(
                503,
                "ServiceUnavailable",
                f"error trying to reach service: dial tcp 10.0.0.1:{port}: connect: connection refused",
            )
        return 200, found


def _structural_defaults(value, schema):
    schema = ssa.resolve(schema)
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if "default" in inner and value.get(name) is None:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                _structural_defaults(value[name], inner)
    elif isinstance(value, list):
        for item in value:
            _structural_defaults(item, schema.get("items", {}))


def _labels_match(item, selector):
    labels = item["metadata"].get("labels") or {}
    return all(labels.get(k) == v for k, _, v in (part.partition("=") for part in selector.split(",") if part))


def _fields_match(item, selector):
    for part in filter(None, selector.split(",")):
        path, _, wanted = part.partition("=")
        found = item
        for step in path.split("."):
            found = found.get(step, "") if isinstance(found, dict) else ""
        if found != wanted:
            return False
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment per answer: head and body apart would wait for each other's acknowledgement, 40 ms.
    wbufsize = 65536

    def _serve(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        api = self.server.api
        with api.lock:
            api.requests.append((self.command, url.path, query))
            headers = {}
            try:
                code, answer = api.answer(self.command, url.path, query, body, self.headers.get("Content-Type"))
            except RefusalError as refusal:
                code, answer, headers = refusal.code, refusal.body(), refusal.headers
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_PATCH = do_DELETE = do_POST = do_PUT = _serve  # noqa: N815

    def log_message(self, *_):
        pass


class Running:
    """The server on a loopback port, with a kubeconfig for it."""

    def __init__(self, api, folder):
        self.api = api
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.api = api
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig(self.url)))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


def kubeconfig(url):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "tester"}}],
        "users": [{"name": "tester", "user": {"token": "t"}}],
    }
