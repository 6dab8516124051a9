//! The emulator of Azure Resource Manager and Entra.
