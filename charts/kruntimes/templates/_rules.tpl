{{- /* What the operator needs where it serves Runtimes. */ -}}
{{- define "kruntimes.servingRules" -}}
- apiGroups: [kruntimes.io]
  resources: [runtimes]
  verbs: [get, list, watch]
# patch: the finalizer of stored artifacts. delete: Runs whose time to live is over.
- apiGroups: [kruntimes.io]
  resources: [runs]
  verbs: [get, list, watch, patch, delete]
# With the reading of Runs this is also what it grants to runtimed: nobody can grant what he does not hold.
- apiGroups: [kruntimes.io]
  resources: [runtimes/status, runs/status]
  verbs: [patch]
# Pods are owned by their Runtime with blockOwnerDeletion; clusters that check this ask for it.
- apiGroups: [kruntimes.io]
  resources: [runtimes/finalizers]
  verbs: [update]
- apiGroups: ['']
  resources: [pods]
  verbs: [list, watch, create, patch, delete]
# The condition kruntimes.io/RuntimedReady.
- apiGroups: ['']
  resources: [pods/status]
  verbs: [patch]
- apiGroups: ['']
  resources: [events]
  verbs: [create]
# runtimed's account and grant, by name: no other Role and no other binding can be written.
- apiGroups: ['']
  resources: [serviceaccounts]
  resourceNames: [kruntimes-runtimed]
  verbs: [create, patch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  resourceNames: [kruntimes-runtimed]
  verbs: [create, patch, delete]
{{- if .Values.artifacts.defaultClaim }}
# The claim of the default store, where it is missing.
- apiGroups: ['']
  resources: [persistentvolumeclaims]
  verbs: [create]
{{- end }}
{{- end -}}

{{- /* Who is it that opens a session? TokenReviews have no namespace. */ -}}
{{- define "kruntimes.reviewRules" -}}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
{{- end -}}

{{- /* Its own namespace: the Lease of the leader, and the CA that signs the session server's certificate. */ -}}
{{- define "kruntimes.ownRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [kruntimes-controller]
  verbs: [get, list, watch, patch]
{{- if eq .Values.sessions.tls.mode "own" }}
- apiGroups: ['']
  resources: [secrets]
  verbs: [create]
- apiGroups: ['']
  resources: [secrets]
  resourceNames: [kruntimes-sessions-ca]
  verbs: [get, list, watch, update]
{{- end }}
{{- end -}}

{{- define "kruntimes.subjects" -}}
- kind: ServiceAccount
  name: {{ include "kruntimes.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
