"""The benchmarks run and print what their pages promise. No timing is asserted: that is the reader's to judge."""
