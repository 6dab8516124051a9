// cdk deploy -c replicationRegion=REGION -c originalBucketName=NAME -c …
import { App, DefaultStackSynthesizer } from "aws-cdk-lib";

import { HanaBackup } from "./hana-backup";

const app = new App({ analyticsReporting: false });

function given(name: string): string {
  const value = app.node.tryGetContext(name);
  if (typeof value !== "string") {
    throw new Error(`give the context value ${name}: -c ${name}=…`);
  }
  return value;
}

new HanaBackup(app, "HanaBackup", {
  stackName: "hana-backup",
  originalBucketName: given("originalBucketName"),
  originalCmkAlias: given("originalCMKAlias"),
  replicationRegion: given("replicationRegion"),
  replicationBucketName: given("replicationBucketName"),
  replicationCmkAlias: given("replicationCMKAlias"),
  ec2RoleToRunBackup: given("ec2RoleToRunBackup"),
  kmsAdminRole: given("kmsAdminRole"),
  // There are no assets, so the account need not be bootstrapped.
  synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
});
