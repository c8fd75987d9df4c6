"""What a network costs: budgets, latency by table and by measurement, MACs, parameters, bytes."""
