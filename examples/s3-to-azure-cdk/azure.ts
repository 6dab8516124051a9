// The resource types of Azure as constructs: their properties are those of ../../docs.
import { CfnResource } from "aws-cdk-lib";
import { Construct } from "constructs";

type Properties = Record<string, unknown>;

export class AzureResource extends CfnResource {
  constructor(scope: Construct, id: string, type: `Azure::${string}::${string}`, properties: Properties) {
    super(scope, id, { type, properties });
  }

  /** A read-only property of the resource, by its path: `PrimaryEndpoints.Blob`. */
  attribute(path: string): string {
    return this.getAtt(path).toString();
  }
}
