"""What is around snaproot: packages, man pages, files for boot loaders."""
