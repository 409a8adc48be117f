"""Says what is wrong with the OpenAPI 3.1 document on standard input; nothing where nothing is.

The document against the OpenAPI Initiative's schema of 3.1, each JSON schema in it against JSON Schema 2020-12, and each
example against the schema beside it.
"""

import json
import sys

import jsonschema_rs
from schemathesis.specs.openapi.definitions import OPENAPI_31

document = json.load(sys.stdin)

# As the Initiative's `schema-base` does: the place that its schema leaves open is JSON Schema 2020-12.
base = json.loads(json.dumps(OPENAPI_31))
base["$defs"]["schema"] = {"$dynamicAnchor": "meta", "$ref": "https://json-schema.org/draft/2020-12/schema"}
wrong = [f"{list(error.instance_path)}: {error.message}" for error in jsonschema_rs.validator_for(base).iter_errors(document)]


examples = 0


def compare(schema, example, place):
    global examples
    examples += 1
    whole = {"allOf": [schema], "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole)
    wrong.extend(f"{place}: {error.message}" for error in validator.iter_errors(example))


def walk(value, place):
    if isinstance(value, list):
        for number, item in enumerate(value):
            walk(item, f"{place}/{number}")
    elif isinstance(value, dict):
        if isinstance(value.get("schema"), dict):
            if "example" in value:
                compare(value["schema"], value["example"], place)
            for name, example in value.get("examples", {}).items():
                compare(value["schema"], example["value"], f"{place}/{name}")
            for example in value["schema"].get("examples", []):
                compare(value["schema"], example, place)
        for name, field in value.items():
            walk(field, f"{place}/{name}")


walk(document, "")
if examples < 40:
    wrong.append(f"only {examples} examples: the walk does not find them")
print("\n".join(wrong), end="")
sys.exit(bool(wrong))
