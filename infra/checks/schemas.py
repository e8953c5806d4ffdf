#!/usr/bin/env python3
"""Writes what AWS's own schemas say of the resources in template.yaml: names of properties, which must be there, and
which values they may have. Run it with an installed cfn-lint, which brings these schemas along, when the template gets a
new type of resource, or AWS has something new:

    infra/checks/schemas.py template.yaml infra/repository.yaml > infra/checks/testdata/resources.json
"""
import json
import re
import sys

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from samtranslator.model.sam_resources import SamFunction, SamHttpApi

# SAM's own resources: their properties, and the resources to whose properties they become.
SAM = {
    "AWS::Serverless::Function": (SamFunction, "AWS::Lambda::Function"),
    "AWS::Serverless::HttpApi": (SamHttpApi, "AWS::ApiGatewayV2::Stage"),
}


def schema_of(kind):
    """What is known of a type of resource."""
    if kind not in SAM:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        return brief(schema, schema)
    sam, target = SAM[kind]
    known = schema_of(target)["properties"]
    names = sorted(name for name in sam.property_types if not name.startswith("_"))
    return {"properties": {name: known.get(name, {}) if name != "Tags" else {} for name in names}}


def resolved(schema, node):
    """Follows a reference within a schema."""
    while "$ref" in node:
        target = schema
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def brief(schema, node, depth=0):
    """Keeps of a schema what can be checked without knowing more."""
    node = resolved(schema, node)
    kept = {}
    if "enum" in node:
        kept["enum"] = sorted(str(value) for value in node["enum"])
    if isinstance(node.get("type"), str):
        kept["type"] = node["type"]
    for bound in ("minimum", "maximum"):
        if bound in node:
            kept[bound] = node[bound]
    if depth < 12:
        if "properties" in node:
            kept["properties"] = {name: brief(schema, p, depth + 1) for name, p in sorted(node["properties"].items())}
            if node.get("required"):
                kept["required"] = sorted(node["required"])
        if "items" in node:
            kept["items"] = brief(schema, node["items"], depth + 1)
    return kept


types = {"AWS::IAM::Policy"}
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        types |= set(re.findall(r"^    Type: (AWS::\S+::\S+)$", file.read(), re.MULTILINE))

schemas = {}
for kind in sorted(types):
    if kind != "AWS::EC2::VPC::Id":  # a parameter's type
        schemas[kind] = schema_of(kind)

# A line for each, so that changes can be read.
lines = [f"{json.dumps(kind)}: {json.dumps(schema, sort_keys=True)}" for kind, schema in schemas.items()]
print("{\n" + ",\n".join(lines) + "\n}")
