"""Tests of the queue service."""
