"""What varies between versions, profiles and components, as JSON beside its loaders."""
