"""What we decide: pure functions over frozen values. No Prefect, no SDK, no clock, no environment, no I/O."""
