// The stack of the CDK against ../s3-to-azure/template.yaml with its parameters' defaults: every resource, every property.
import { deepStrictEqual } from "node:assert";
import { test } from "node:test";

import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";

import { plain, resolved } from "../cdk-test/compare";
import { S3ToAzure } from "./s3-to-azure";

type Json = any;

const CODE_BUCKET = "packages";
const ISSUER = "https://issuer.example";

/** The template in JSON, with its conditions decided and its parameters replaced by their defaults. */
function template(): Json {
  const stack = new Stack(new App(), "Template");
  new CfnInclude(stack, "Included", { templateFile: "../s3-to-azure/template.yaml" });
  const whole: Json = Template.fromStack(stack).toJSON();
  const given: Json = { CodeBucket: CODE_BUCKET, Issuer: ISSUER };
  const values: Json = {};
  for (const [name, parameter] of Object.entries<Json>(whole.Parameters)) {
    values[name] = given[name] ?? parameter.Default;
  }
  return resolved(whole, values);
}

const ours: Json = resolved(
  Template.fromStack(new S3ToAzure(new App(), "Cdk", { codeBucket: CODE_BUCKET, issuer: ISSUER })).toJSON(),
  {},
);
const theirs = template();

test("the same resources", () => {
  const types = (one: Json) => Object.entries<Json>(one.Resources).map(([id, { Type }]) => `${id} ${Type}`).sort();
  deepStrictEqual(types(ours), types(theirs));
});

for (const id of Object.keys(theirs.Resources)) {
  test(`the same properties of ${id}`, () => {
    deepStrictEqual(plain(ours.Resources[id]?.Properties), plain(theirs.Resources[id].Properties));
  });
}

test("the same outputs", () => {
  const values = (one: Json) => Object.fromEntries(Object.entries<Json>(one.Outputs).map(([id, { Value }]) => [id, Value]));
  deepStrictEqual(values(ours), values(theirs));
});
