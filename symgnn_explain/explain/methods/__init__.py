"""The methods: each scores the units of one atom's prediction."""
