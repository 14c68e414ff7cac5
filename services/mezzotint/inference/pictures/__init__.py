"""From a request to its pictures: defaults and limits, pictures given with it, text before its steps, pixels after them.

Imports batching, models and sampling; knows neither the queue nor a servicer.
"""
