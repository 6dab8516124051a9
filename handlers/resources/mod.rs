//! Microsoft.Resources.

pub mod resource_group;
