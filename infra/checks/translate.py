#!/usr/bin/env python3
"""Prints what SAM makes of template.yaml, as CloudFormation gets it: only there does the linter look at everything.

    translate.py template.yaml
"""
import json
import sys

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())

# As `sam deploy` does, which uploads what was built.
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/key"

# No policy of AWS's own is named, so nothing is looked up; but the translator wants to know where it is.
translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="eu-central-1"))
json.dump(translator.translate(sam_template=template, parameter_values={}), sys.stdout, indent=1)
