"""How fast augmill and its peers are, measured side by side; run from the repository's root, never installed.

    python -m benchmarks.run        every recipe with every contender, in alternation
    python -m benchmarks.curve      augmill alone, from a thousand records to a hundred thousand
    python -m benchmarks.profile    where the time of one block goes

Each writes its part of docs/benchmarks.md.
"""
