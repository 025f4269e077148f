"""Tests of snaproot; they mirror the package file by file."""
