"""Arrays and time series: npz and .ts files, and how they are scaled."""
