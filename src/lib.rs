//! A Rust runtime for CloudFormation resource types.
