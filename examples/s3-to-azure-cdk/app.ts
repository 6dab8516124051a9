// cdk deploy -c codeBucket=BUCKET -c issuer=https://…
import { App, DefaultStackSynthesizer } from "aws-cdk-lib";

import { S3ToAzure } from "./s3-to-azure";

const app = new App({ analyticsReporting: false });

function given(name: string): string {
  const value = app.node.tryGetContext(name);
  if (typeof value !== "string") {
    throw new Error(`give the context value ${name}: -c ${name}=…`);
  }
  return value;
}

new S3ToAzure(app, "S3ToAzure", {
  stackName: "s3-to-azure",
  codeBucket: given("codeBucket"),
  issuer: given("issuer"),
  // There are no assets, so the account need not be bootstrapped.
  synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
});
