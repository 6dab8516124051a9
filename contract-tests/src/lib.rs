//! Runs the real `cfn` CLI over every resource type.
