"""What tests share: a clock they turn by hand, services running in the test's event loop, certificates."""
