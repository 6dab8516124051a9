"""The registry's own actions: DescribeType, ListTypes, SetTypeConfiguration, BatchDescribeTypeConfigurations.

Types come from a folder of schemas. There is no RegisterType and no ActivateType.
"""

import copy
import json
import re
from datetime import datetime, timezone
from html import escape

from jsonschema import Draft7Validator

from .engine import module


class Configurations:
    """The type configurations: one at the start for all types that take any, or what SetTypeConfiguration set."""

    def __init__(self, types, initial=None):
        configurable = [name for name, kind in types.items() if "typeConfiguration" in kind.schema]
        self._initial = dict.fromkeys(configurable, initial) if initial is not None else {}
        self._set = {}

    def get(self, name):
        """The configuration as it was given, dynamic references unresolved, or None."""
        return copy.deepcopy(self._set.get(name, self._initial.get(name)))

    def set(self, name, value):
        """Replaces the configuration of one type."""
        self._set[name] = value


class TypeActions:
    """The handlers of the actions: each takes MiniStack's parsed parameters and returns its response."""

    def __init__(self, types, configurations, engine):
        self.types, self.configurations, self.engine = types, configurations, engine
        self._helpers = module("helpers")
        self._started = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self._configured = {}

    def install(self):
        """Adds the actions to MiniStack's table."""
        module()._ACTION_HANDLERS.update({
            "DescribeType": self.describe_type, "ListTypes": self.list_types,
            "SetTypeConfiguration": self.set_type_configuration,
            "BatchDescribeTypeConfigurations": self.batch_describe_type_configurations,
        })

    def describe_type(self, params):
        """DescribeType, by name or by ARN."""
        name, kind = self._find(params)
        if kind is None:
            return self._not_found(name)
        schema = kind.schema
        configuration = schema.get("typeConfiguration")
        return self._answer("DescribeType", _members({
            "Arn": self._arn(name),
            "Type": "RESOURCE",
            "TypeName": name,
            "DefaultVersionId": "00000001",
            "IsDefaultVersion": "true",
            "TypeTestsStatus": "NOT_TESTED",
            "Description": schema.get("description"),
            "Schema": json.dumps(schema),
            "ProvisioningType": _provisioning(schema),
            "DeprecatedStatus": "LIVE",
            "ConfigurationSchema": json.dumps(configuration) if configuration else None,
            "Visibility": "PRIVATE",
            "SourceUrl": schema.get("sourceUrl"),
            "DocumentationUrl": schema.get("documentationUrl"),
            "LastUpdated": self._started,
            "TimeCreated": self._started,
            "IsActivated": "true",
            "AutoUpdate": "false",
        }))

    def list_types(self, params):
        """ListTypes. Registered types are private; of public types none is known here."""
        p = self._helpers._p
        prefix = p(params, "Filters.TypeNamePrefix")
        provisioning = p(params, "ProvisioningType")
        shown = [(name, kind) for name, kind in sorted(self.types.items())
                 if p(params, "Visibility", "PRIVATE") == "PRIVATE" and p(params, "Type", "RESOURCE") == "RESOURCE"
                 and p(params, "DeprecatedStatus", "LIVE") == "LIVE" and name.startswith(prefix)
                 and provisioning in ("", _provisioning(kind.schema))]
        shown, token, error = self._helpers._page(shown, params, "ListTypes",
                                                  int(p(params, "MaxResults", "100")))
        if error:
            return error
        summaries = "".join(_element("member", _members({
            "Type": "RESOURCE", "TypeName": name, "DefaultVersionId": "00000001", "TypeArn": self._arn(name),
            "LastUpdated": self._started, "Description": kind.schema.get("description"), "IsActivated": "true",
        })) for name, kind in shown)
        return self._answer("ListTypes", _element("TypeSummaries", summaries) + token)

    def set_type_configuration(self, params):
        """SetTypeConfiguration: checked against the schema's typeConfiguration, then used by every later operation."""
        name, kind = self._find(params, arn="TypeArn")
        if kind is None:
            return self._not_found(name)
        try:
            value = json.loads(self._helpers._p(params, "Configuration"))
        except ValueError:
            return self._helpers._error("ValidationError", "Configuration is not valid JSON")
        schema = kind.schema.get("typeConfiguration", {"additionalProperties": False})
        schema = {**schema, "definitions": kind.schema.get("definitions", {}), "type": "object"}
        wrong = sorted({f"#{''.join(f'/{part}' for part in error.absolute_path)}: breaks the rule {error.validator}"
                        for error in Draft7Validator(schema).iter_errors(value)})
        if wrong:
            return self._helpers._error("ValidationError", f"Configuration of {name} does not match its schema: "
                                        + ", ".join(wrong))
        self.configurations.set(name, value)
        self._configured[name] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return self._answer("SetTypeConfiguration", _members({"ConfigurationArn": self._configuration_arn(name)}))

    def batch_describe_type_configurations(self, params):
        """BatchDescribeTypeConfigurations, by type or by ARN, of one or many."""
        found, unknown, index = "", "", 1
        while any(key.startswith(f"TypeConfigurationIdentifiers.member.{index}.") for key in params):
            at = f"TypeConfigurationIdentifiers.member.{index}."
            asked = {key[len(at):]: value for key, value in params.items() if key.startswith(at)}
            name, kind = self._find(asked, arn="TypeArn", configuration="TypeConfigurationArn")
            index += 1
            configuration = self.configurations.get(name) if kind else None
            if configuration is None:
                unknown += _element("member", _members({"TypeArn": self._arn(name), "TypeName": name,
                                                        "Type": "RESOURCE"}))
                continue
            found += _element("member", _members({
                "Arn": self._configuration_arn(name), "Alias": "default", "Configuration": json.dumps(configuration),
                "LastUpdated": self._configured.get(name, self._started), "TypeArn": self._arn(name),
                "TypeName": name, "IsDefaultConfiguration": "true"}))
        return self._answer("BatchDescribeTypeConfigurations", "<Errors/>"
                            + _element("UnprocessedTypeConfigurations", unknown)
                            + _element("TypeConfigurations", found))

    def _find(self, params, arn="Arn", configuration=None):
        """The name that a request means, and the type of that name or None."""
        p = self._helpers._p
        name = p(params, "TypeName")
        match = re.search(r":type(?:-configuration)?/resource/([^/]+)",
                          p(params, arn) or (p(params, configuration) if configuration else ""))
        if not name and match:
            name = match.group(1).replace("-", "::")
        return name, self.types.get(name)

    def _not_found(self, name):
        return self._helpers._error("TypeNotFoundException", f"The type '{name}' cannot be found.", 404)

    def _arn(self, name):
        return (f"arn:aws:cloudformation:{self.engine.region()}:{self.engine.account()}:type/resource/"
                f"{name.replace('::', '-')}")

    def _configuration_arn(self, name):
        return self._arn(name).replace(":type/", ":type-configuration/") + "/default"

    def _answer(self, action, inner):
        return self._helpers._xml(200, f"{action}Response", _element(f"{action}Result", inner))


def _provisioning(schema):
    handlers = schema.get("handlers", {})
    if not {"create", "read", "delete"} <= handlers.keys():
        return "NON_PROVISIONABLE"
    return "FULLY_MUTABLE" if "update" in handlers else "IMMUTABLE"


def _element(name, inner):
    return f"<{name}>{inner}</{name}>"


def _members(values):
    return "".join(_element(key, escape(value)) for key, value in values.items() if value is not None)
