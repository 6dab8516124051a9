"""A toy cloud behind a Lambda invoke endpoint: two resource types in memory, with faults that a test asks for."""

import contextlib
import copy
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHELF = {
    "typeName": "Toy::Cloud::Shelf",
    "description": "Resource Type definition for a shelf",
    "definitions": {
        "Tag": {
            "type": "object",
            "properties": {"Key": {"type": "string", "minLength": 1}, "Value": {"type": "string"}},
            "required": ["Key", "Value"],
            "additionalProperties": False,
        },
        "Rule": {
            "type": "object",
            "properties": {"Action": {"type": "string"}, "Priority": {"type": "integer"}},
            "required": ["Action"],
            "additionalProperties": False,
        },
    },
    "properties": {
        "Id": {"type": "string"},
        "Name": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
        "Size": {"type": "integer", "minimum": 1},
        "Open": {"type": "boolean"},
        "Grade": {"type": "string", "enum": ["basic", "fine"]},
        "Place": {
            "type": "object",
            "properties": {"Room": {"type": "string"}, "Wall": {"type": "string"}, "Height": {"type": "integer"}},
            "additionalProperties": False,
        },
        "Rules": {"type": "array", "insertionOrder": False, "items": {"$ref": "#/definitions/Rule"}},
        "Order": {"type": "array", "insertionOrder": True, "items": {"type": "string"}},
        "Labels": {"type": "object", "patternProperties": {"^.+$": {"type": "string"}},
                   "additionalProperties": False},
        "Password": {"type": "string", "minLength": 4},
        "Tags": {"type": "array", "insertionOrder": False, "items": {"$ref": "#/definitions/Tag"}},
        "Endpoints": {
            "type": "object",
            "properties": {"Read": {"type": "string"}, "Write": {"type": "string"}},
            "additionalProperties": False,
        },
    },
    "required": ["Size"],
    "additionalProperties": False,
    "primaryIdentifier": ["/properties/Id"],
    "readOnlyProperties": ["/properties/Id", "/properties/Endpoints", "/properties/Place/Height"],
    "writeOnlyProperties": ["/properties/Password"],
    "createOnlyProperties": ["/properties/Name", "/properties/Place/Room"],
    "conditionalCreateOnlyProperties": ["/properties/Grade"],
    "tagging": {"taggable": True, "tagOnCreate": True, "tagUpdatable": True, "cloudFormationSystemTags": False,
                "tagProperty": "/properties/Tags"},
    "typeConfiguration": {
        "type": "object",
        "properties": {"Login": {"type": "string"}, "Key": {"type": "string"}},
        "required": ["Login"],
        "additionalProperties": False,
    },
    "handlers": {action: {"permissions": ["none:*"]} for action in ("create", "read", "update", "delete", "list")},
}

BOOK = {
    "typeName": "Toy::Cloud::Book",
    "description": "Resource Type definition for a book",
    "properties": {
        "ShelfId": {"type": "string"},
        "Number": {"type": "integer"},
        "Title": {"type": "string"},
    },
    "required": ["ShelfId", "Title"],
    "additionalProperties": False,
    "primaryIdentifier": ["/properties/ShelfId", "/properties/Number"],
    "readOnlyProperties": ["/properties/Number"],
    "createOnlyProperties": ["/properties/ShelfId"],
    "tagging": {"taggable": False},
    "handlers": {action: {"permissions": ["none:*"]} for action in ("create", "read", "update", "delete", "list")},
}


class Toy:
    """The cloud, its handlers and their Lambda endpoint."""

    def __init__(self):
        self.lock = threading.RLock()
        self.reset()
        cloud = self

        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/2015-03-31/functions/toy/invocations", self.path
                answer = cloud.invoke(json.loads(body))
                if answer is None:  # the Lambda died
                    self.connection.close()
                    return
                data = json.dumps(answer).encode()
                with contextlib.suppress(OSError):  # the caller may have given up
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        """An empty cloud without faults."""
        with self.lock:
            self.events, self.things, self.faults, self.number, self.delay = [], {}, [], 0, 0
            self.hidden = {}

    def fault(self, action, answer, times=1, when=lambda event: True):
        """The next ``times`` invocations of ``action`` get ``answer``: a progress event, a function, or None to die."""
        self.faults.append([action, answer, times, when])

    def failing(self, action, code, message="no", times=1, when=lambda event: True):
        """The next invocations of ``action`` fail."""
        self.fault(action, {"status": "FAILED", "errorCode": code, "message": message}, times, when)

    def actions(self, type_name=None):
        """What was invoked, in order."""
        return [event["action"] for event in self.events if type_name in (None, event["resourceType"])]

    def sent(self, action):
        """The events of one action."""
        return [event for event in self.events if event["action"] == action]

    def of(self, type_name):
        """The things of one type that exist."""
        return {key[1]: thing for key, thing in self.things.items() if key[0] == type_name}

    def invoke(self, event):
        with self.lock:
            self.events.append(event)
            for fault in self.faults:
                if fault[0] == event["action"] and fault[2] and fault[3](event):
                    fault[2] -= 1
                    answer = fault[1]
                    if not callable(answer):
                        return answer
                    break
            else:
                return self.handle(event)
        return answer(self, event)

    def handle(self, event):
        data, kind = event["requestData"], event["resourceType"]
        wanted = self.coerce(kind, data["resourceProperties"])
        key = (kind, self.identifier(kind, wanted))
        action = event["action"]
        if action == "LIST":
            return {"status": "SUCCESS", "resourceModels": [self.shown(key) for key in self.things if key[0] == kind]}
        if action == "CREATE":
            context = event["callbackContext"]
            if context is None:
                self.number += 1
                if kind == "Toy::Cloud::Shelf":
                    wanted["Id"] = f"/shelves/{wanted.get('Name', 'shelf')}-{self.number}"
                else:
                    wanted["Number"] = self.number
                return {"status": "IN_PROGRESS", "resourceModel": wanted, "callbackDelaySeconds": self.delay,
                        "callbackContext": {"step": 1}}
            tags = {**(data["stackTags"] or {}), **{t["Key"]: t["Value"] for t in wanted.get("Tags", [])}}
            self.things[key] = {**wanted, "Tags": tags}
            return {"status": "SUCCESS", "resourceModel": self.shown(key)}
        if key not in self.things:
            return {"status": "FAILED", "errorCode": "NotFound", "message": f"{key[1]} does not exist"}
        if action == "READ":
            return {"status": "SUCCESS", "resourceModel": self.shown(key)}
        if action == "UPDATE":
            tags = {**(data["stackTags"] or {}), **{t["Key"]: t["Value"] for t in wanted.get("Tags", [])}}
            self.things[key] = {**wanted, "Tags": tags}
            return {"status": "SUCCESS", "resourceModel": self.shown(key)}
        if event["callbackContext"] is None:
            return {"status": "IN_PROGRESS", "resourceModel": wanted, "callbackContext": {"going": True}}
        del self.things[key]
        return {"status": "SUCCESS"}

    @staticmethod
    def identifier(kind, model):
        return model.get("Id") if kind == "Toy::Cloud::Shelf" else f"{model.get('ShelfId')}|{model.get('Number')}"

    @staticmethod
    def coerce(kind, properties):
        model = copy.deepcopy(properties)
        for name in ("Size", "Number"):
            if name in model:
                model[name] = int(model[name])
        if "Open" in model:
            model["Open"] = model["Open"] == "true"
        for rule in model.get("Rules", []):
            if "Priority" in rule:
                rule["Priority"] = int(rule["Priority"])
        return model

    def shown(self, key):
        """What READ answers: no write-only value, and what only the service knows."""
        model = copy.deepcopy(self.things[key])
        model.pop("Password", None)
        if "Place" in model:
            model["Place"]["Height"] = 2
        tags = model.pop("Tags", {})
        if key[0] == "Toy::Cloud::Shelf":
            if tags:
                model["Tags"] = [{"Key": name, "Value": tags[name]} for name in sorted(tags, reverse=True)]
            model["Endpoints"] = {"Read": f"https://read{model['Id']}", "Write": f"https://write{model['Id']}"}
        return model


def hang(seconds):
    """An answer that comes after the Lambda's time is over."""

    def answer(_, event):
        time.sleep(seconds)
        return {"status": "SUCCESS"}

    return answer
