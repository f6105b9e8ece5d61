//! Projects: observe, plan, act.
