// The stack of the CDK against ../hana-backup/template.yaml with its parameters' defaults: every resource, every property.
import { deepStrictEqual } from "node:assert";
import { test } from "node:test";

import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";

import { plain, resolved } from "../cdk-test/compare";
import { HanaBackup } from "./hana-backup";

type Json = any;

const GIVEN = {
  OriginalBucketName: "backups",
  OriginalCMKAlias: "alias/backups",
  ReplicationRegion: "eu-central-1",
  ReplicationBucketName: "backups-replica",
  ReplicationCMKAlias: "alias/replica",
  EC2RoleToRunBackup: "arn:aws:iam::123456789012:role/hana",
  KMSAdminRole: "arn:aws:iam::123456789012:role/keys",
};

/** The template in JSON, with its conditions decided and its parameters replaced by their defaults. */
function template(): Json {
  const stack = new Stack(new App(), "Template");
  new CfnInclude(stack, "Included", { templateFile: "../hana-backup/template.yaml" });
  const whole: Json = Template.fromStack(stack).toJSON();
  const values: Json = { ...GIVEN };
  for (const [name, parameter] of Object.entries<Json>(whole.Parameters)) {
    values[name] ??= parameter.Default;
  }
  return resolved(whole, values);
}

const stack = new HanaBackup(new App(), "Cdk", {
  originalBucketName: GIVEN.OriginalBucketName,
  originalCmkAlias: GIVEN.OriginalCMKAlias,
  replicationRegion: GIVEN.ReplicationRegion,
  replicationBucketName: GIVEN.ReplicationBucketName,
  replicationCmkAlias: GIVEN.ReplicationCMKAlias,
  ec2RoleToRunBackup: GIVEN.EC2RoleToRunBackup,
  kmsAdminRole: GIVEN.KMSAdminRole,
});
const ours: Json = resolved(Template.fromStack(stack).toJSON(), {});
const theirs = template();

test("the same resources", () => {
  const types = (one: Json) => Object.entries<Json>(one.Resources).map(([id, { Type }]) => `${id} ${Type}`).sort();
  deepStrictEqual(types(ours), types(theirs));
});

for (const id of Object.keys(theirs.Resources)) {
  test(`the same properties and policies of ${id}`, () => {
    for (const part of ["Properties", "UpdateReplacePolicy", "DeletionPolicy"]) {
      deepStrictEqual(plain(ours.Resources[id]?.[part] ?? null), plain(theirs.Resources[id][part] ?? null), part);
    }
  });
}

test("the same outputs", () => {
  const values = (one: Json) => Object.fromEntries(Object.entries<Json>(one.Outputs).map(([id, { Value }]) => [id, Value]));
  deepStrictEqual(values(ours), values(theirs));
});
